import { isDomainError } from '../errors.ts'
import { orAbort } from '../storage/abortable.ts'
import type { ChainId } from '../storage/chain-id.ts'
import { formatPlatform } from '../storage/platform.ts'
import { formatImageName } from '../storage/reference.ts'
import type { ImageSource, ResolvedImage, ResolvedLayer } from '../storage/remote/image-source.ts'
import type { ChainBuilder, ChainSnapshot, ChainStore, LayerFacts } from './chain/chain-store.ts'
import { ChainFlights } from './chain-flights.ts'
import type { ImportEvent, ImportOptions } from './import-service.ts'
import { KnownDiffIds } from './known-diff-ids.ts'
import type { LayerReport } from './layer/apply-layer.ts'
import type { LayerEngine } from './layer/layer-engine.ts'
import { LayersAhead } from './layers-ahead.ts'
import { planImport } from './plan.ts'
import type { Spool } from './spool/spool.ts'

/** Times that an import looks for its base again when others keep removing it. */
const maxLooks = 3

export interface ChainMakerParts {
  readonly source: ImageSource
  readonly chains: ChainStore
  readonly engine: LayerEngine
  readonly spool: Spool
}

/** Makes the chains of images, each layer once however many ask for it. */
export class ChainMaker {
  readonly #source: ImageSource
  readonly #chains: ChainStore
  readonly #engine: LayerEngine
  readonly #spool: Spool
  readonly #diffIds: KnownDiffIds
  readonly #flights = new ChainFlights()

  constructor({ source, chains, engine, spool }: ChainMakerParts) {
    this.#source = source
    this.#chains = chains
    this.#engine = engine
    this.#spool = spool
    this.#diffIds = new KnownDiffIds(chains)
  }

  /** Applies what is missing. When another import is making the next layer, waits for it and looks again. */
  async ensureChain(
    image: ResolvedImage,
    options: ImportOptions,
  ): Promise<{ top: ChainSnapshot; imported: number }> {
    let announced = false
    let lookedInVain = 0
    for (;;) {
      const top = await this.#chains.findLast(
        image.layers.map(({ chainId }) => chainId),
        options,
      )
      const plan = planImport(image.layers, chain => chain === top?.chain)
      if (!announced) options.onEvent?.(resolvedEvent(image, image.layers.length - plan.missing.length))
      announced = true

      const [next] = plan.missing
      if (next === undefined) {
        if (top === undefined) throw new Error(`image ${image.manifestDigest} has no layers`)
        return { top, imported: 0 }
      }
      const running = this.#flights.find(next.chainId)
      if (running !== undefined) {
        options.onEvent?.({ type: 'waiting', chainId: next.chainId })
        await orAbort(running, options.signal)
        continue
      }
      try {
        return await this.#applyMissing(image, plan.base, plan.missing, options)
      } catch (error) {
        // Somebody has removed the base since we looked, so there is more to import than we thought.
        if (!isDomainError(error, 'not_found') || error.details.resource !== 'chain') throw error
        lookedInVain += 1
        if (lookedInVain === maxLooks) throw error
      }
    }
  }

  async #applyMissing(
    image: ResolvedImage,
    base: ChainId | null,
    missing: readonly ResolvedLayer[],
    options: ImportOptions,
  ): Promise<{ top: ChainSnapshot; imported: number }> {
    using flight = this.#flights.begin(missing.map(({ chainId }) => chainId))
    await using builder = await this.#chains.extend(base, options)
    const below = image.layers.length - missing.length
    await using ahead = await this.#openAhead(image, missing, below, options)
    let top: ChainSnapshot | undefined
    for (const [index, layer] of missing.entries()) {
      const parent = index === 0 ? base : (missing[index - 1]?.chainId ?? null)
      top = await this.#applyLayer(
        layer,
        ahead,
        { builder, parent, position: below + index, isLast: index === missing.length - 1 },
        options,
      )
      flight.landed(layer.chainId)
    }
    if (top === undefined) throw new Error('there was nothing to apply')
    return { top, imported: missing.length }
  }

  async #openAhead(
    image: ResolvedImage,
    missing: readonly ResolvedLayer[],
    below: number,
    { signal, onEvent }: ImportOptions,
  ): Promise<LayersAhead> {
    await this.#diffIds.load(
      missing.map(({ descriptor }) => descriptor.digest),
      { signal },
    )
    const parts = {
      source: this.#source,
      engine: this.#engine,
      spool: this.#spool,
      diffIds: this.#diffIds,
      image: image.name,
      layers: missing,
      onFetched: (index: number, blobBytes: number) =>
        onEvent?.({ type: 'layer-fetched', layer: below + index, blobBytes }),
    }
    return new LayersAhead(parts, { signal })
  }

  async #applyLayer(
    layer: ResolvedLayer,
    ahead: LayersAhead,
    { builder, parent, position, isLast }: LayerTurn,
    { signal, onEvent }: ImportOptions,
  ): Promise<ChainSnapshot> {
    const started = performance.now()
    const { descriptor, diffId, chainId } = layer
    await using opened = ahead.next()
    const report = await opened.applyTo(builder.rootfs, {
      signal,
      onProgress: ({ blobBytes, entries }) =>
        onEvent?.({ type: 'layer-progress', layer: position, blobBytes, entries }),
    })
    this.#diffIds.add(descriptor.digest, diffId)
    const snapshot = await builder.commit(chainId, factsOf(layer, parent, report), { signal, isLast })
    const milliseconds = performance.now() - started
    onEvent?.({
      type: 'layer-done',
      layer: position,
      chainId,
      location: snapshot.location,
      report,
      milliseconds,
    })
    return snapshot
  }
}

/** Where a layer goes. */
interface LayerTurn {
  readonly builder: ChainBuilder
  readonly parent: ChainId | null
  /** In the image, from the base. */
  readonly position: number
  readonly isLast: boolean
}

function resolvedEvent(image: ResolvedImage, present: number): ImportEvent {
  return {
    type: 'resolved',
    image: formatImageName(image.name),
    manifestDigest: image.manifestDigest,
    platform: formatPlatform(image.config),
    layers: image.layers.map(({ chainId, diffId, descriptor }, index) => ({
      chainId,
      diffId,
      blob: descriptor.digest,
      size: descriptor.size,
      present: index < present,
    })),
  }
}

function factsOf(
  { diffId, descriptor }: ResolvedLayer,
  parent: ChainId | null,
  { entries, bytes, ...notes }: LayerReport,
): LayerFacts {
  return { diffId, blob: descriptor.digest, parent, entries, bytes, notes }
}

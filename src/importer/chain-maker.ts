import { isDomainError } from '../errors.ts'
import { orAbort } from '../storage/abortable.ts'
import type { ChainId } from '../storage/chain-id.ts'
import { formatPlatform } from '../storage/platform.ts'
import { formatImageName } from '../storage/reference.ts'
import type { ImageSource, ResolvedImage, ResolvedLayer } from '../storage/remote/image-source.ts'
import type { Spool } from '../storage/spool/spool.ts'
import type { ChainBuilder, ChainSnapshot, ChainStore, LayerFacts } from './chain/chain-store.ts'
import { ChainFlights } from './chain-flights.ts'
import { ChainTurn, untilUnclaimed } from './chain-turn.ts'
import type { RecordedLayer } from './images/image-catalog.ts'
import type { ImportEvent, ImportOptions } from './import-service.ts'
import { KnownDiffIds } from './known-diff-ids.ts'
import type { DirectoryXattrs, LayerReport } from './layer/apply-layer.ts'
import type { LayerEngine } from './layer/layer-engine.ts'
import { LayersAhead } from './layers-ahead.ts'
import { planImport } from './plan.ts'
import { PresentLayers } from './present-layers.ts'
import { LayersProgress } from './progress/layers-progress.ts'

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

  /** Layers of an image that is recorded, so this host has verified them, and may have forgotten since. */
  recall(layers: readonly RecordedLayer[]): void {
    for (const { blob, diffId } of layers) this.#diffIds.add(blob, diffId)
  }

  /**
   * Applies what is missing. While somebody else is making the next layer, in this process or in another, waits for it and
   * looks again.
   */
  async ensureChain(
    image: ResolvedImage,
    options: ImportOptions,
  ): Promise<{ top: ChainSnapshot; imported: number }> {
    const chains = image.layers.map(({ chainId }) => chainId)
    let announced = false
    let imported = 0
    let lookedInVain = 0
    const { limits } = this.#engine
    const present = new PresentLayers({ source: this.#source, diffIds: this.#diffIds, limits }, image)
    for (;;) {
      // What is ours to make is claimed first and looked for afterwards, so that one listing of the store is enough.
      const expected = missingAfter(image, await this.#chains.lastKnown(chains, options))
      const running = expected[0] && this.#flights.find(expected[0].chainId)
      using turn = running === undefined ? this.#begin(expected) : undefined
      const top = await this.#chains.findLast(chains, options)
      const missing = missingAfter(image, top)
      if (!announced) options.onEvent?.(resolvedEvent(image, image.layers.length - missing.length))
      announced = true
      await present.confirm(image.layers.length - missing.length, options)

      const [next] = missing
      if (next === undefined) {
        if (top === undefined) throw new Error(`image ${image.manifestDigest} has no layers`)
        return { top, imported }
      }
      if (expected[0]?.chainId !== next.chainId) continue
      if (turn === undefined || !turn.isOurs) {
        options.onEvent?.({ type: 'waiting', chainId: next.chainId })
        await (running === undefined
          ? untilUnclaimed(this.#chains, next.chainId, options)
          : orAbort(running, options.signal))
        continue
      }
      try {
        const made = await this.#applyMissing(image, top?.chain ?? null, missing, turn, options)
        imported += made.imported
        present.proven(image.layers.length - missing.length + made.imported)
        if (made.imported === missing.length) return { top: made.top, imported }
      } catch (error) {
        // Somebody has removed the base since we looked, so there is more to import than we thought.
        if (!isDomainError(error, 'not_found') || error.details.resource !== 'chain') throw error
        lookedInVain += 1
        if (lookedInVain === maxLooks) throw error
      }
    }
  }

  #begin(missing: readonly ResolvedLayer[]): ChainTurn | undefined {
    if (missing.length === 0) return undefined
    return new ChainTurn(
      this.#chains,
      this.#flights,
      missing.map(({ chainId }) => chainId),
    )
  }

  /** As far as it is ours to make: another process may be making a later layer, of an image that shares the earlier ones. */
  async #applyMissing(
    image: ResolvedImage,
    base: ChainId | null,
    missing: readonly ResolvedLayer[],
    turn: ChainTurn,
    options: ImportOptions,
  ): Promise<{ top: ChainSnapshot; imported: number }> {
    await using builder = await this.#chains.extend(base, options)
    const below = image.layers.length - missing.length
    const sizes = image.layers.map(({ descriptor }) => descriptor.size)
    const progress = new LayersProgress(sizes, options.onEvent)
    await using ahead = await this.#openAhead(image, missing, below, progress, options)
    let lowerDirectoryXattrs = builder.base?.notes?.directoryXattrs
    for (const [index, layer] of missing.entries()) {
      const parent = index === 0 ? base : (missing[index - 1]?.chainId ?? null)
      const isLast = index === missing.length - 1
      const { top, report } = await this.#applyLayer(
        layer,
        ahead,
        { builder, parent, lowerDirectoryXattrs, position: below + index, isLast, progress },
        options,
      )
      // Of our own tree: others may have committed the chain first, with other notes.
      lowerDirectoryXattrs = report.directoryXattrs
      if (!turn.made(layer.chainId, missing[index + 1]?.chainId)) return { top, imported: index + 1 }
    }
    throw new Error('there was nothing to apply')
  }

  async #openAhead(
    image: ResolvedImage,
    missing: readonly ResolvedLayer[],
    below: number,
    progress: LayersProgress,
    { signal }: ImportOptions,
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
      credentials: image.credentials,
      layers: missing,
      onFetched: (index: number, blobBytes: number) => progress.downloaded(below + index, blobBytes),
    }
    return new LayersAhead(parts, { signal })
  }

  async #applyLayer(
    layer: ResolvedLayer,
    ahead: LayersAhead,
    { builder, parent, lowerDirectoryXattrs, position, isLast, progress }: LayerTurn,
    { signal, onEvent }: ImportOptions,
  ): Promise<{ top: ChainSnapshot; report: LayerReport }> {
    const started = performance.now()
    const { descriptor, diffId, chainId } = layer
    await using opened = ahead.next()
    progress.begun(position)
    const report = await opened.applyTo(builder.rootfs, {
      signal,
      lowerDirectoryXattrs,
      onProgress: work => progress.applied(position, work),
    })
    progress.committing(position, report)
    this.#diffIds.add(descriptor.digest, diffId)
    const top = await builder.commit(chainId, factsOf(layer, parent, report), { signal, isLast })
    const milliseconds = performance.now() - started
    onEvent?.({
      type: 'layer-done',
      layer: position,
      chainId,
      location: top.location,
      report,
      milliseconds,
    })
    return { top, report }
  }
}

/** Where a layer goes. */
interface LayerTurn {
  readonly builder: ChainBuilder
  readonly parent: ChainId | null
  readonly lowerDirectoryXattrs: DirectoryXattrs | undefined
  /** In the image, from the base. */
  readonly position: number
  readonly isLast: boolean
  readonly progress: LayersProgress
}

/** Layers to apply on top of `top`, in order. */
function missingAfter(image: ResolvedImage, top: ChainSnapshot | undefined): readonly ResolvedLayer[] {
  return planImport(image.layers, chain => chain === top?.chain).missing
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

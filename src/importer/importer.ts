import { DomainError, isDomainError, primaryOf } from '../errors.ts'
import type { Abortable } from '../storage/abortable.ts'
import { formatImageName, parseImageName } from '../storage/reference.ts'
import type { ImageSource, ResolvedImage } from '../storage/remote/image-source.ts'
import type { Spool } from '../storage/spool/spool.ts'
import type { ChainSnapshot, ChainStore, Clone, CloneName, CloneOptions } from './chain/chain-store.ts'
import { ChainMaker } from './chain-maker.ts'
import { cloneEach, refuseNames } from './clones/clone-each.ts'
import { clonedImageOf, imageOfClone } from './clones/cloned-image.ts'
import { historyOf } from './history/history.ts'
import { findImage } from './images/find-image.ts'
import type { ImageCatalog, ImageRecord } from './images/image-catalog.ts'
import { publishedImageOf, publisherOf, publishImage } from './images/image-publication.ts'
import { recordOf, topChainOf } from './images/image-record.ts'
import { refuseWhileUsed, removeChains } from './images/image-removal.ts'
import { summariesOf, useOf } from './images/image-uses.ts'
import { inspectImage } from './images/inspect-image.ts'
import { LastUse } from './images/last-use.ts'
import { RecordsTurn } from './images/records-turn.ts'
import type {
  ClonedImage,
  CloneOutcome,
  ImageSummary,
  ImportOptions,
  ImportRequest,
  ImportResult,
  ImportService,
  InspectedImage,
  LineageHistory,
  PruneReport,
  PruneRequest,
  PublishedImage,
  RemovedImage,
} from './import-service.ts'
import type { LayerEngine } from './layer/layer-engine.ts'
import { prune } from './prune/prune.ts'
import { parseImageUuid } from './smartos/image-uuid.ts'

export interface ImporterParts {
  /** Not owned: importers of several pools may share it. */
  readonly source: ImageSource
  /** Owned. */
  readonly chains: ChainStore
  readonly catalog: ImageCatalog
  /** Not owned: importers of several pools may share it. */
  readonly engine: LayerEngine
  /** Owned. */
  readonly spool: Spool
  /** The Linux that LX zones say they are, such as 5.10.0; as `TritonImageParts` without it. */
  readonly kernelVersion?: string | undefined
  /** What else lives as long as this importer, disposed last to first when it has come to rest. */
  readonly owned?: readonly AsyncDisposable[] | undefined
}

/** Turns images into chains and chains into clones, in this process. */
export class Importer implements ImportService {
  readonly #source: ImageSource
  readonly #chains: ChainStore
  readonly #catalog: ImageCatalog
  readonly #spool: Spool
  readonly #owned: readonly AsyncDisposable[]
  readonly #maker: ChainMaker
  readonly #lastUse: LastUse
  readonly #kernelVersion: string | undefined
  readonly #recording: RecordsTurn
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  constructor({ source, chains, catalog, engine, spool, kernelVersion, owned = [] }: ImporterParts) {
    this.#source = source
    this.#chains = chains
    this.#catalog = catalog
    this.#spool = spool
    this.#owned = owned
    this.#maker = new ChainMaker({ source, chains, engine, spool })
    this.#kernelVersion = kernelVersion
    this.#lastUse = new LastUse(chains.recordsDirectory)
    this.#recording = new RecordsTurn(chains)
  }

  async describe(): Promise<string> {
    return this.#chains.description
  }

  async import(request: ImportRequest, { onEvent, signal }: ImportOptions = {}): Promise<ImportResult> {
    const signals = [this.#closing.signal, ...(signal === undefined ? [] : [signal])]
    const running = this.#import(request, { onEvent, signal: AbortSignal.any(signals) })
    this.#running.add(running)
    try {
      return await running
    } catch (error) {
      // When clearing away after a failure fails as well, the next start does it.
      throw primaryOf(error)
    } finally {
      this.#running.delete(running)
    }
  }

  async #import(
    { image, platform, credentials }: ImportRequest,
    options: ImportOptions,
  ): Promise<ImportResult> {
    const started = performance.now()
    const { signal } = options
    const resolved = await this.#source.resolve(parseImageName(image), { platform, credentials, signal })
    const record = (await this.#catalog.list()).find(
      ({ manifestDigest }) => manifestDigest === resolved.manifestDigest,
    )
    if (record !== undefined) this.#maker.recall(record.layers)
    const { top, imported } = await this.#ensureRecorded(resolved, options)
    await this.#lastUse.touch(resolved.manifestDigest)
    return {
      image: formatImageName(resolved.name),
      manifestDigest: resolved.manifestDigest,
      chainId: top.chain,
      location: top.location,
      layers: resolved.layers.length,
      imported,
      milliseconds: performance.now() - started,
    }
  }

  /** A removal may come between the last layer and the record; then the layers are made again. */
  async #ensureRecorded(
    resolved: ResolvedImage,
    options: ImportOptions,
  ): Promise<{ top: ChainSnapshot; imported: number }> {
    for (;;) {
      const made = await this.#maker.ensureChain(resolved, options)
      const recorded = await this.#recording.run(async () => {
        if ((await this.#chains.find(made.top.chain, options)) === undefined) return false
        await this.#catalog.put(recordOf(resolved, new Date()))
        return true
      }, options)
      if (recorded) return made
    }
  }

  async images(options: Abortable = {}): Promise<ImageSummary[]> {
    const records = await this.#catalog.list()
    return await summariesOf(records, await this.#chains.clones(options), this.#lastUse)
  }

  async inspect(image: string, options: Abortable = {}): Promise<InspectedImage> {
    const record = await this.#find(image)
    const use = await useOf(record, await this.#chains.clones(options), this.#lastUse)
    return await inspectImage(this.#chains, await this.#catalog.whole(record), use, {
      ...options,
      kernelVersion: this.#kernelVersion,
    })
  }

  async removeImage(image: string, options: Abortable = {}): Promise<RemovedImage> {
    return await this.#recording.run(() => this.#removeImage(image, options), options)
  }

  /** Chains first: as long as the record is there, a removal that was cut short can be asked for again. */
  async #removeImage(image: string, options: Abortable): Promise<RemovedImage> {
    const records = await this.#catalog.list()
    const record = findImage(records, image)
    const others = records.filter(({ manifestDigest }) => manifestDigest !== record.manifestDigest)
    await refuseWhileUsed(this.#chains, record, others, options)
    const removedChains = await removeChains(this.#chains, record, others, options)
    await this.#catalog.delete(record.manifestDigest)
    await this.#lastUse.forget(record.manifestDigest)
    return { names: record.names, manifestDigest: record.manifestDigest, removedChains }
  }

  async clone(image: string, name: CloneName, options: CloneOptions = {}): Promise<ClonedImage> {
    const record = await this.#catalog.whole(await this.#find(image))
    const clone = await this.#clone(record, name, options)
    await this.#lastUse.touch(record.manifestDigest)
    return clonedImageOf(clone, record, this.#kernelVersion)
  }

  async cloneMany(
    image: string,
    names: readonly CloneName[],
    options: CloneOptions = {},
  ): Promise<CloneOutcome[]> {
    refuseNames(names)
    const record = await this.#find(image)
    const outcomes = await cloneEach(names, name => this.#clone(record, name, options), options)
    if (outcomes.some(outcome => 'clone' in outcome)) await this.#lastUse.touch(record.manifestDigest)
    return outcomes
  }

  async #clone(record: ImageRecord, name: CloneName, options: CloneOptions): Promise<Clone> {
    const { manifestDigest } = record
    try {
      return await this.#chains.clone(topChainOf(record), name, { ...options, manifestDigest })
    } catch (error) {
      // When the image has been removed since we looked, that is what there is to say.
      if (isDomainError(error, 'not_found')) await this.#find(manifestDigest)
      throw error
    }
  }

  async clones(options: Abortable = {}): Promise<Clone[]> {
    return await this.#chains.clones(options)
  }

  async inspectClone(name: CloneName, options: Abortable = {}): Promise<ClonedImage> {
    const clone = await this.#chains.findClone(name, options)
    if (clone === undefined)
      throw new DomainError(
        'not_found',
        `There is no clone ${name}; \`varve clones\` lists those that there are.`,
        {
          resource: 'clone',
          name,
        },
      )
    const record = imageOfClone(clone, await this.#catalog.list())
    return clonedImageOf(clone, await this.#catalog.whole(record), this.#kernelVersion)
  }

  async destroyClone(name: CloneName, options: Abortable = {}): Promise<void> {
    await this.#chains.destroyClone(name, options)
  }

  async prune(request: PruneRequest, options: Abortable = {}): Promise<PruneReport> {
    const parts = {
      catalog: this.#catalog,
      chains: this.#chains,
      lastUse: this.#lastUse,
      remove: (manifestDigest: string, abortable: Abortable) => this.removeImage(manifestDigest, abortable),
      exclusively: <Result>(work: () => Promise<Result>) => this.#recording.run(work, options),
    }
    return await prune(parts, request, options)
  }

  async history(options: Abortable = {}): Promise<LineageHistory[]> {
    return await historyOf({ catalog: this.#catalog, chains: this.#chains }, options)
  }

  async publish(image: string, options: Abortable = {}): Promise<PublishedImage> {
    const records = await this.#catalog.list()
    const record = findImage(records, image)
    const dataset = await publishImage(this.#chains, await this.#catalog.whole(record), {
      ...options,
      kernelVersion: this.#kernelVersion,
    })
    await this.#lastUse.touch(record.manifestDigest)
    return publishedImageOf(dataset, records)
  }

  async published(options: Abortable = {}): Promise<PublishedImage[]> {
    const datasets = await publisherOf(this.#chains).list(options)
    const records = await this.#catalog.list()
    return datasets.map(dataset => publishedImageOf(dataset, records))
  }

  async unpublish(uuid: string, options: Abortable = {}): Promise<void> {
    await publisherOf(this.#chains).unpublish(parseImageUuid(uuid), options)
  }

  /** Ends running imports first: what they have not finished is discarded while the store is still open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException('the importer is closing', 'AbortError'))
    await Promise.allSettled(this.#running)
    await using parts = new AsyncDisposableStack()
    for (const part of [this.#chains, this.#spool, ...this.#owned]) parts.use(part)
  }

  async #find(image: string): Promise<ImageRecord> {
    return findImage(await this.#catalog.list(), image)
  }
}

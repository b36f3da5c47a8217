import type { Abortable } from '../storage/abortable.ts'
import { parseImageConfig } from '../storage/image-config.ts'
import { formatImageName, parseImageName } from '../storage/reference.ts'
import type { ImageSource, ResolvedImage } from '../storage/remote/image-source.ts'
import type { ChainSnapshot, ChainStore, Clone, CloneName, CloneOptions } from './chain/chain-store.ts'
import { KeyedQueue } from './chain/keyed-queue.ts'
import { ChainMaker } from './chain-maker.ts'
import { firstFailure } from './first-failure.ts'
import { findImage } from './images/find-image.ts'
import type { ImageCatalog } from './images/image-catalog.ts'
import { recordOf, summaryOf, topChainOf } from './images/image-record.ts'
import { refuseWhileCloned, removeChains } from './images/image-removal.ts'
import { inspectImage } from './images/inspect-image.ts'
import type {
  ClonedImage,
  ImageSummary,
  ImportOptions,
  ImportRequest,
  ImportResult,
  ImportService,
  InspectedImage,
  RemovedImage,
} from './import-service.ts'
import type { LayerEngine } from './layer/layer-engine.ts'
import { imageProcess } from './process/image-process.ts'
import type { Spool } from './spool/spool.ts'

export interface ImporterParts {
  readonly source: ImageSource
  readonly chains: ChainStore
  readonly catalog: ImageCatalog
  readonly engine: LayerEngine
  readonly spool: Spool
}

/** Turns images into chains and chains into clones, in this process. It owns its parts. */
export class Importer implements ImportService {
  readonly #source: ImageSource
  readonly #chains: ChainStore
  readonly #catalog: ImageCatalog
  readonly #engine: LayerEngine
  readonly #spool: Spool
  readonly #maker: ChainMaker
  /** What is recorded, and what the records say that chains are needed for, changes one by one. */
  readonly #recording = new KeyedQueue<'records'>()
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  constructor({ source, chains, catalog, engine, spool }: ImporterParts) {
    this.#source = source
    this.#chains = chains
    this.#catalog = catalog
    this.#engine = engine
    this.#spool = spool
    this.#maker = new ChainMaker({ source, chains, engine, spool })
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
      throw firstFailure(error)
    } finally {
      this.#running.delete(running)
    }
  }

  async #import({ image, platform }: ImportRequest, options: ImportOptions): Promise<ImportResult> {
    const started = performance.now()
    const resolved = await this.#source.resolve(parseImageName(image), { platform, signal: options.signal })
    const { top, imported } = await this.#ensureRecorded(resolved, options)
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
      const recorded = await this.#recording.run('records', async () => {
        if ((await this.#chains.find(made.top.chain, options)) === undefined) return false
        await this.#catalog.put(recordOf(resolved, new Date()))
        return true
      })
      if (recorded) return made
    }
  }

  async images(): Promise<ImageSummary[]> {
    return (await this.#catalog.list()).map(summaryOf)
  }

  async inspect(image: string, options?: Abortable): Promise<InspectedImage> {
    return await inspectImage(this.#chains, findImage(await this.#catalog.list(), image), options)
  }

  async removeImage(image: string, options?: Abortable): Promise<RemovedImage> {
    return await this.#recording.run('records', () => this.#removeImage(image, options))
  }

  /** Chains first: as long as the record is there, a removal that was cut short can be asked for again. */
  async #removeImage(image: string, options?: Abortable): Promise<RemovedImage> {
    const records = await this.#catalog.list()
    const record = findImage(records, image)
    const others = records.filter(({ manifestDigest }) => manifestDigest !== record.manifestDigest)
    await refuseWhileCloned(this.#chains, record, others, options)
    const removedChains = await removeChains(this.#chains, record, others, options)
    await this.#catalog.delete(record.manifestDigest)
    return { names: record.names, manifestDigest: record.manifestDigest, removedChains }
  }

  async clone(image: string, name: CloneName, options?: CloneOptions): Promise<ClonedImage> {
    const record = findImage(await this.#catalog.list(), image)
    const clone = await this.#chains.clone(topChainOf(record), name, options)
    const { process } = parseImageConfig(Buffer.from(record.config))
    return {
      ...clone,
      image: record.names[0] ?? record.manifestDigest,
      manifestDigest: record.manifestDigest,
      config: JSON.parse(record.config) as unknown,
      process,
      run: imageProcess(clone.rootfs, process),
    }
  }

  async clones(options?: Abortable): Promise<Clone[]> {
    return await this.#chains.clones(options)
  }

  async destroyClone(name: CloneName, options?: Abortable): Promise<void> {
    await this.#chains.destroyClone(name, options)
  }

  /** Ends running imports first: what they have not finished is discarded while the store is still open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException('the importer is closing', 'AbortError'))
    await Promise.allSettled(this.#running)
    await using parts = new AsyncDisposableStack()
    for (const part of [this.#chains, this.#source, this.#spool, this.#engine]) parts.use(part)
  }
}

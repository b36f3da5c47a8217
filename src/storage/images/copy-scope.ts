import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { forEachParallel } from '../adopt/parallel.ts'
import type { Digest } from '../digest.ts'
import type { ManifestInfo } from '../metadata/manifest-records.ts'
import type { CopyOptions, CopyProgress, CopyReport } from './copy-image.ts'
import { copyLimits } from './copy-limits.ts'
import type { ReadableRepository, WritableRepository } from './image-repository.ts'

/** What has been done so far. */
interface CopyTally {
  manifestsAbsent: number
  blobsCopied: number
  blobsMounted: number
  blobsPresent: number
  bytes: number
  referrersCopied: number
}

/** One copy under way: from where, to where, how, what has come of it, and one end for all that it does at once. */
export class CopyScope implements Abortable {
  readonly source: ReadableRepository
  readonly target: WritableRepository
  readonly options: CopyOptions
  readonly progress: CopyProgress
  /** Aborts when the caller does, and as soon as one part of the copy has failed. */
  readonly signal: AbortSignal
  readonly tally: CopyTally = {
    manifestsAbsent: 0,
    blobsCopied: 0,
    blobsMounted: 0,
    blobsPresent: 0,
    bytes: 0,
    referrersCopied: 0,
  }
  readonly #end = new AbortController()
  readonly #copied = new Set<Digest>()
  #seenManifests = 0
  #seenBlobs = 0

  constructor(source: ReadableRepository, target: WritableRepository, options: CopyOptions) {
    this.source = source
    this.target = target
    this.options = options
    this.progress = options.progress ?? {}
    this.signal =
      options.signal === undefined ? this.#end.signal : AbortSignal.any([options.signal, this.#end.signal])
  }

  /** @throws what failed first, and only when nothing of the copy goes on. */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    this.signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      throw this.#end.signal.aborted ? this.#end.signal.reason : error
    }
  }

  /** Waits for all; the first failure ends the others, and is told when they have ended. */
  async all<Result>(works: readonly Promise<Result>[]): Promise<Result[]> {
    const outcomes = await Promise.allSettled(works.map(work => this.#endingAll(work)))
    return outcomes.map(outcome => {
      if (outcome.status === 'rejected') throw outcome.reason
      return outcome.value
    })
  }

  /** The same for as many as there may be, and only so many at once. */
  async forEach<Item>(
    items: Iterable<Item>,
    atOnce: number,
    work: (item: Item) => Promise<void>,
  ): Promise<void> {
    await forEachParallel(items, atOnce, item => this.#endingAll(work(item)), this)
  }

  /** Counts a manifest that is looked at. @throws DomainError `too_large`. */
  countManifest(): void {
    this.#seenManifests += 1
    if (this.#seenManifests > copyLimits.manifests)
      throw this.tooLarge(`more than ${copyLimits.manifests} manifests belong to it`)
  }

  /** Counts a blob that is looked at. @throws DomainError `too_large`. */
  countBlob(): void {
    this.#seenBlobs += 1
    if (this.#seenBlobs > copyLimits.blobs)
      throw this.tooLarge(`more than ${copyLimits.blobs} blobs belong to it`)
  }

  absent(digest: Digest): DomainError {
    return new DomainError('not_found', `${this.source.label} does not have the manifest ${digest}.`, {
      resource: 'manifest',
      name: digest,
    })
  }

  tooLarge(why: string): DomainError {
    const name = this.source.label
    return new DomainError('too_large', `The image of ${name} is not copied: ${why}.`, {
      resource: 'image',
      name,
    })
  }

  get manifestsCopied(): number {
    return this.#copied.size
  }

  hasCopied(digest: Digest): boolean {
    return this.#copied.has(digest)
  }

  copied(digest: Digest): void {
    if (this.#copied.has(digest)) return
    this.#copied.add(digest)
    this.progress.manifest?.(digest, 'copied')
  }

  reportOf({ digest, mediaType, size }: ManifestInfo): CopyReport {
    return { manifest: { digest, mediaType, size }, manifestsCopied: this.manifestsCopied, ...this.tally }
  }

  async #endingAll<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work
    } catch (error) {
      this.#end.abort(error)
      throw error
    }
  }
}

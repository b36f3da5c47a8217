import type { Readable } from 'node:stream'
import type { BlobInfo } from '../../../storage/blobs/blob-store.ts'
import type { UpstreamRepository } from '../upstream.ts'
import type { BlobFetchParts } from './blob-fetch-parts.ts'
import { givenUp, isWrongContent } from './fetch-failure.ts'
import type { FetchedCopy } from './fetched-copy.ts'
import { GrowingStream } from './growing-stream.ts'
import { dropStored } from './kept-blobs.ts'
import type { UpstreamBlob } from './upstream-blob.ts'

export interface BlobStoringOptions {
  readonly upstreamBlob: UpstreamBlob
  /** That others read, too; undefined: it comes for the store alone. */
  readonly copy: FetchedCopy | undefined
  /** Told why the blob, or what was stored of it, is not kept. */
  readonly onFailure: (error: unknown) => void
  readonly signal: AbortSignal
}

/**
 * The storing of one blob: from its growing copy where that has the bytes, and else straight from upstream. What has come
 * is kept for the next time, unless it has turned out to be something else.
 */
export class BlobStoring {
  readonly #parts: BlobFetchParts
  readonly #at: UpstreamRepository
  readonly #options: BlobStoringOptions
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal

  constructor(parts: BlobFetchParts, at: UpstreamRepository, options: BlobStoringOptions) {
    this.#parts = parts
    this.#at = at
    this.#options = options
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal])
    void options.copy?.ended.then(ended => {
      // What failed otherwise is taken as far as it came, so that it need not come again.
      if (isWrongContent(ended?.failure)) this.#stop.abort(ended?.failure)
    })
  }

  /** @returns whether the repository has it now. */
  async run(blob: BlobInfo): Promise<boolean> {
    // Keeps the first bytes from going before the store has asked for them.
    using seat = this.#options.copy?.growing.attach(0, 'needed')
    const from = (offset: number): Promise<Readable> => {
      const stream = this.#bytesFrom(blob, offset)
      seat?.[Symbol.dispose]()
      return Promise.resolve(stream)
    }
    try {
      await this.#parts.own(this.#at.repository).putBlob(blob, from, { signal: this.#signal })
      return true
    } catch (error) {
      await this.#notKept(blob, error)
      return false
    }
  }

  #bytesFrom(blob: BlobInfo, offset: number): Readable {
    const { copy, upstreamBlob } = this.#options
    // The store asks again itself where this breaks off.
    if (copy?.growing.has(offset) !== true) return upstreamBlob.rest(blob, offset, this.#signal)
    const nowhere = (): Promise<never> => Promise.reject(givenUp(blob.digest))
    const stream = new GrowingStream(copy.growing.attach(offset, 'needed'), blob.size - 1, nowhere)
    // Upstream has been asked again often enough.
    return stream.once('error', () => {
      if (copy.failure !== undefined) this.#stop.abort(copy.failure)
    })
  }

  /** Never fails: what cannot be dropped expires. */
  async #notKept({ digest }: BlobInfo, error: unknown): Promise<void> {
    const { onFailure } = this.#options
    const cause = this.#stop.signal.aborted ? this.#stop.signal.reason : error
    onFailure(cause)
    if (isWrongContent(cause)) await dropStored(this.#parts, this.#at.repository, digest).catch(onFailure)
  }
}

import type { Abortable } from '../../../storage/abortable.ts'
import type { BlobBody, BlobInfo, BlobProvider, OpenBlobOptions } from '../../../storage/blobs/blob-store.ts'
import type { Digest } from '../../../storage/digest.ts'
import type { UpstreamRepository } from '../upstream.ts'
import { fetchFailure, givenUp } from './fetch-failure.ts'
import { grow } from './grow.ts'
import { GrowingBlob } from './growing-blob.ts'
import { GrowingProvider } from './growing-provider.ts'
import type { BlobFetchSettings } from './settings.ts'

/**
 * A blob straight from upstream for one client, at its pace, verified and not kept. A part of it is taken from the whole,
 * for nothing less can be verified.
 */
export class PassedBlob implements BlobProvider {
  readonly #at: UpstreamRepository
  readonly #settings: BlobFetchSettings
  readonly #onEnd: (isComplete: boolean, bytes: number) => void

  constructor(
    at: UpstreamRepository,
    settings: BlobFetchSettings,
    onEnd: (isComplete: boolean, bytes: number) => void,
  ) {
    this.#at = at
    this.#settings = settings
    this.#onEnd = onEnd
  }

  async stat(digest: Digest, options: Abortable = {}): Promise<BlobInfo> {
    const { upstream, source } = this.#at
    try {
      const { size } = await upstream.ask(aborts => source.statBlob(digest, aborts), options)
      return { digest, size }
    } catch (error) {
      throw fetchFailure(error, this.#at, digest)
    }
  }

  async open(digest: Digest, { range, signal }: OpenBlobOptions = {}): Promise<BlobBody> {
    const { upstream, source } = this.#at
    const left = new AbortController()
    try {
      const body = await upstream.ask(aborts => source.openBlob(digest, aborts), { signal })
      const growing = new GrowingBlob({
        blob: { digest, size: body.size },
        slowReadersMs: 0,
        onDeserted: () => left.abort(),
      })
      const provider = new GrowingProvider({
        growing,
        kind: 'only',
        goOn: () => Promise.reject(givenUp(digest)),
        answerWithinMs: this.#settings.answerWithinMs,
      })
      const opened = provider.open(digest, { range, signal })
      void this.#run(growing, body.stream, left.signal)
      return await opened
    } catch (error) {
      left.abort()
      throw fetchFailure(error, this.#at, digest)
    }
  }

  presign(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  async #run(growing: GrowingBlob, body: BlobBody['stream'], signal: AbortSignal): Promise<void> {
    let bytes = 0
    const onBytes = (count: number): void => {
      bytes += count
    }
    const failed = await grow(growing, this.#at, { body, retries: this.#settings.retries, onBytes, signal })
    this.#onEnd(failed === undefined, bytes)
  }
}

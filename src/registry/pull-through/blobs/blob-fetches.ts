import type { Digest } from '../../../storage/digest.ts'
import type { UpstreamRepository } from '../upstream.ts'
import { BlobFetch } from './blob-fetch.ts'
import type { BlobFetchParts } from './blob-fetch-parts.ts'

/** All blobs that this process fetches now, each once, for whoever asks. Disposing it breaks them off. */
export class BlobFetches implements AsyncDisposable {
  readonly #parts: BlobFetchParts
  /** Those that can be joined. */
  readonly #open = new Map<string, BlobFetch>()
  readonly #all = new Set<BlobFetch>()
  #kept = 0

  constructor(parts: BlobFetchParts) {
    this.#parts = parts
  }

  /** Whether one more can be fetched for keeping. */
  get hasRoom(): boolean {
    return this.#kept < this.#parts.settings.maxFetches
  }

  /** The fetch that is under way, or a new one. Those that are kept and those that are not are apart. */
  join(at: UpstreamRepository, digest: Digest, keeps: boolean): { fetch: BlobFetch; isNew: boolean } {
    const key = `${keeps ? 'kept' : 'passed'} ${at.repository}@${digest}`
    const open = this.#open.get(key)
    if (open !== undefined) return { fetch: open, isNew: false }
    const fetch: BlobFetch = new BlobFetch(this.#parts, at, digest, {
      keeps,
      onOver: () => {
        if (this.#open.get(key) === fetch) this.#open.delete(key)
      },
    })
    this.#open.set(key, fetch)
    this.#all.add(fetch)
    if (keeps) this.#kept += 1
    void fetch.closed.then(() => {
      this.#all.delete(fetch)
      if (keeps) this.#kept -= 1
    })
    return { fetch, isNew: true }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#all]
    for (const fetch of all) fetch.stop()
    await Promise.all(all.map(fetch => fetch.closed))
  }
}

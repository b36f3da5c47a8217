import type { Digest } from '../../../storage/digest.ts'
import { flightOf, type UpstreamRepository } from '../upstream.ts'
import { BlobFetch } from './blob-fetch.ts'
import type { BlobFetchParts } from './blob-fetch-parts.ts'

/** All blobs that this process fetches now, each once, for whoever asks. Disposing it breaks them off. */
export class BlobFetches implements AsyncDisposable {
  readonly #parts: BlobFetchParts
  /** Those that can be joined, by blob, and then by whom they are for. */
  readonly #open = new Map<string, Map<string, BlobFetch>>()
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
    const flight = flightOf(at)
    const known = this.#open.get(key) ?? new Map<string, BlobFetch>()
    // What upstream has begun to send waits for nobody, so anybody may read it along.
    const open = known.get(flight) ?? [...known.values()].find(({ isComing }) => isComing)
    if (open !== undefined) return { fetch: open, isNew: false }
    const fetch: BlobFetch = new BlobFetch(this.#parts, at, digest, {
      keeps,
      onOver: () => {
        if (known.get(flight) === fetch) known.delete(flight)
        if (known.size === 0 && this.#open.get(key) === known) this.#open.delete(key)
      },
    })
    known.set(flight, fetch)
    this.#open.set(key, known)
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

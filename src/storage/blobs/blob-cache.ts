import { LRUCache } from 'lru-cache'
import type { Digest } from '../digest.ts'

/** Image configs, and what else is asked for by everybody who pulls; a larger one does not wait for its first byte. */
export const maxCachedBlobBytes = 64 * 1024

/** What an entry costs beside its bytes: a guess, so that very small blobs do not come for free. */
const overheadBytes = 512

/**
 * The bytes of small blobs that were read last. It knows nothing of what exists: whoever asks has made sure that the
 * blob is there, so what was deleted is never served, however long its bytes are still here.
 *
 * Bytes come in only after they were found to be those of their digest, and must not be changed by anybody.
 */
export class BlobCache {
  readonly limitBytes: number
  readonly #entries: LRUCache<Digest, Uint8Array>
  #hits = 0
  #misses = 0

  /** @param limitBytes of all entries together. */
  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
    this.#entries = new LRUCache({
      maxSize: limitBytes,
      sizeCalculation: bytes => bytes.length + overheadBytes,
    })
  }

  /** Whether a blob of this size can have a place here. */
  takes(size: number): boolean {
    return size <= maxCachedBlobBytes && size + overheadBytes <= this.limitBytes
  }

  find(digest: Digest): Uint8Array | undefined {
    const bytes = this.#entries.get(digest)
    if (bytes === undefined) this.#misses += 1
    else this.#hits += 1
    return bytes
  }

  /** @param bytes verified; their memory is nobody else's. */
  keep(digest: Digest, bytes: Uint8Array): void {
    this.#entries.set(digest, bytes)
  }

  /** Bytes of all entries, their overhead included. */
  get usedBytes(): number {
    return this.#entries.calculatedSize
  }

  get hits(): number {
    return this.#hits
  }

  get misses(): number {
    return this.#misses
  }
}

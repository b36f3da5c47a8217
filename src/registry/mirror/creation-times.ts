import { LRUCache } from 'lru-cache'
import type { Digest } from '../../storage/digest.ts'

/** Images that are remembered: some 150 bytes each. */
const maxRemembered = 20_000

/** When images were made, by the digest of their manifest: it never changes. Milliseconds; 0 for what does not say. */
export class CreationTimes {
  readonly #known = new LRUCache<Digest, number>({ max: maxRemembered })

  get(digest: Digest): number | undefined {
    return this.#known.get(digest)
  }

  set(digest: Digest, time: number): void {
    this.#known.set(digest, time)
  }
}

import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { Turns } from '../turns.ts'

/** Digests whose whereabouts are remembered; some 30 MiB at most. */
const maxRemembered = 100_000

/**
 * Which blobs are on their way to one place, so that of copies that run at once only one stores a blob; and in which
 * repositories of that place blobs have arrived, so that the others can mount them from there.
 */
export class BlobFlights {
  readonly #turns = new Turns()
  readonly #arrived = new Map<Digest, RepositoryName>()

  /** Does `work` while nobody else does theirs for the same digest. However that ended, the next one has to look. */
  alone<Result>(digest: Digest, work: () => Promise<Result>, options?: Abortable): Promise<Result> {
    return this.#turns.alone(digest, work, options)
  }

  /** Remembers where a blob is; what was said longest ago is forgotten first. */
  arrived(digest: Digest, repository: RepositoryName): void {
    this.#arrived.delete(digest)
    this.#arrived.set(digest, repository)
    if (this.#arrived.size <= maxRemembered) return
    const [oldest] = this.#arrived.keys()
    if (oldest !== undefined) this.#arrived.delete(oldest)
  }

  /** A repository where the blob was lately. */
  whereabouts(digest: Digest): RepositoryName | undefined {
    return this.#arrived.get(digest)
  }
}

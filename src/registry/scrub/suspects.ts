import type { Digest } from '../../storage/digest.ts'
import type { StoredBlob } from '../../storage/metadata/blob-records.ts'
import type { CheckOutcome } from './check-blob.ts'

export interface SuspectsOptions {
  /** Looks at one blob. @throws when it cannot be found out. */
  readonly check: (blob: StoredBlob, signal: AbortSignal) => Promise<CheckOutcome>
  readonly onChecked: (blob: StoredBlob, outcome: CheckOutcome) => void
  readonly onFailure: (error: unknown) => void
  /** How long a blob that was looked at is not looked at again. */
  readonly restMs: number
}

/** Blobs that wait; the scrub finds the others in its time. */
const maxWaiting = 100

/**
 * Blobs that turned out wrong when somebody read them, each looked at once, at once, one after the other. Telling of one
 * costs its reader nothing. Disposing it ends what is under way.
 */
export class Suspects implements AsyncDisposable {
  readonly #options: SuspectsOptions
  readonly #waiting = new Map<Digest, StoredBlob>()
  /** When each was looked at last. */
  readonly #seen = new Map<Digest, number>()
  readonly #closing = new AbortController()
  #isRunning = false
  #running: Promise<void> | undefined

  constructor(options: SuspectsOptions) {
    this.#options = options
  }

  /** Never throws. */
  readonly suspect = (blob: StoredBlob): void => {
    if (this.#closing.signal.aborted || this.#waiting.size >= maxWaiting) return
    this.#forgetOld()
    if (this.#seen.has(blob.digest)) return
    this.#waiting.set(blob.digest, blob)
    if (this.#isRunning) return
    this.#isRunning = true
    this.#running = this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    for (const [digest, blob] of this.#waiting) {
      try {
        if (!signal.aborted) this.#options.onChecked(blob, await this.#options.check(blob, signal))
      } catch (error) {
        if (!signal.aborted) this.#options.onFailure(error)
      }
      this.#waiting.delete(digest)
      this.#seen.set(digest, performance.now())
    }
    this.#isRunning = false
  }

  /** In the order in which they were seen. */
  #forgetOld(): void {
    for (const [digest, at] of this.#seen) {
      if (performance.now() - at < this.#options.restMs) return
      this.#seen.delete(digest)
    }
  }
}

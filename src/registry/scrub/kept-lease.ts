import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../../storage/abortable.ts'
import type { ScrubProgressRecords } from '../../storage/metadata/scrub-records.ts'

export interface KeptLeaseOptions {
  readonly records: Pick<ScrubProgressRecords, 'leaseScrub' | 'releaseScrub'>
  /** Different for each process. */
  readonly holder: string
  /** How long a lease runs when its process dies; it is extended after each third of that. */
  readonly leaseMs: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** How long a process that stops tries to give the lease back. */
const releaseMs = 2_000

/**
 * That this process, of all, scrubs: one object may take longer to read than a lease lasts. Disposing it gives it back.
 * Two who scrub do the same twice, and nothing wrong.
 */
export class KeptLease implements AsyncDisposable {
  readonly #options: KeptLeaseOptions
  readonly #lost = new AbortController()
  readonly #closing = new AbortController()
  readonly #running: Promise<void>

  private constructor(options: KeptLeaseOptions) {
    this.#options = options
    this.#running = this.#keep()
  }

  /** Undefined while somebody else has it. @throws DomainError `unavailable`. */
  static async take(options: KeptLeaseOptions, { signal }: Abortable): Promise<KeptLease | undefined> {
    return (await lease(options, { signal })) ? new KeptLease(options) : undefined
  }

  /** Aborts when another process has it. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#running
    const { records, holder } = this.#options
    // What cannot be given back runs out.
    await records.releaseScrub(holder, { signal: AbortSignal.timeout(releaseMs) }).catch(() => {})
  }

  async #keep(): Promise<void> {
    const { signal } = this.#closing
    for (;;) {
      try {
        await sleep(this.#options.leaseMs / 3, undefined, { signal })
      } catch {
        return
      }
      // A database that is away now makes the work itself fail, if that goes on.
      const isKept = await lease(this.#options, { signal }).catch(() => true)
      if (isKept) continue
      this.#lost.abort(new DOMException('another process scrubs now', 'AbortError'))
      return
    }
  }
}

async function lease(
  { records, holder, leaseMs, now }: KeptLeaseOptions,
  options: Abortable,
): Promise<boolean> {
  return await records.leaseScrub({ holder, until: new Date(now() + leaseMs) }, options)
}

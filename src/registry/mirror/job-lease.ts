import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../../storage/abortable.ts'
import type { MirrorJobName, MirrorRecords } from '../../storage/metadata/mirror-records.ts'

export interface JobLeaseOptions {
  readonly records: Pick<MirrorRecords, 'leaseMirrorJob' | 'releaseMirrorJob'>
  readonly job: MirrorJobName
  /** Different for each that may lead. */
  readonly holder: string
  /** How long a lease runs when its process dies; it is extended after each third of that. */
  readonly leaseMs: number
}

/** How long a process that stops tries to give the lease back. */
const lastSaveMs = 2_000

/**
 * That this process, of all, leads a job. Disposing it gives the lease back, so that another begins at once.
 * Clocks of replicas must not differ by more than a third of the lease.
 */
export class JobLease implements AsyncDisposable {
  readonly #options: JobLeaseOptions
  readonly #lost = new AbortController()
  readonly #closing = new AbortController()
  readonly #running: Promise<void>

  private constructor(options: JobLeaseOptions, takenAt: number) {
    this.#options = options
    this.#running = this.#keep(takenAt)
  }

  /** Undefined while somebody else has it. @throws DomainError `unavailable`. */
  static async take(options: JobLeaseOptions, { signal }: Abortable = {}): Promise<JobLease | undefined> {
    const now = Date.now()
    const isTaken = await lease(options, { signal })
    return isTaken ? new JobLease(options, now) : undefined
  }

  /** Aborts when the lease is lost, or may be, before another can have it. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#running
    if (this.#lost.signal.aborted) return
    const { records, job, holder } = this.#options
    // What cannot be given back runs out.
    await records.releaseMirrorJob(job, holder, { signal: AbortSignal.timeout(lastSaveMs) }).catch(() => {})
  }

  async #keep(takenAt: number): Promise<void> {
    const { leaseMs } = this.#options
    const { signal } = this.#closing
    let pauseMs = leaseMs / 3
    for (let since = takenAt; ; ) {
      try {
        await sleep(pauseMs, undefined, { signal })
      } catch {
        return
      }
      const now = Date.now()
      const isKept = await this.#extend()
      if (isKept === true) since = now
      // The database may be away for a while; nobody else gets the lease before it has run out.
      else if (isKept === false || Date.now() - since > (leaseMs * 2) / 3) {
        this.#lost.abort(new DOMException('another process leads the job now', 'AbortError'))
        return
      }
      pauseMs = isKept === true ? leaseMs / 3 : leaseMs / 12
    }
  }

  /** Undefined: it could not be found out. */
  async #extend(): Promise<boolean | undefined> {
    try {
      return await lease(this.#options, { signal: AbortSignal.timeout(this.#options.leaseMs / 6) })
    } catch {
      return undefined
    }
  }
}

async function lease(
  { records, job, holder, leaseMs }: JobLeaseOptions,
  options: Abortable,
): Promise<boolean> {
  return await records.leaseMirrorJob(job, { holder, until: new Date(Date.now() + leaseMs) }, options)
}

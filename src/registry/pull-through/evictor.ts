import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { UpstreamRecords } from '../../storage/metadata/upstream-records.ts'
import { type EvictionOptions, type EvictionRule, evict } from './evict.ts'

export interface EvictorOptions extends EvictionOptions {
  readonly leases: Pick<UpstreamRecords, 'leaseEviction' | 'releaseEviction'>
  /** This process, for others. */
  readonly holder: string
  /** How often {@link Evictor.tick} is called. Milliseconds. */
  readonly everyMs: number
}

/** How long a process that stops tries to give its lease back. */
const lastSaveMs = 2_000

/**
 * Evicts as the only one of all processes: whoever was first, until it stops. When it dies, another goes on within three
 * intervals. The lease spares work; two who evict at once, since clocks differ, do nothing wrong.
 */
export class Evictor implements AsyncDisposable {
  readonly #rules: readonly EvictionRule[]
  readonly #options: EvictorOptions
  readonly #now: () => number

  constructor(rules: readonly EvictionRule[], options: EvictorOptions) {
    this.#rules = rules
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** @returns whether this is the process that evicts. @throws as {@link evict}. */
  async tick(options: Abortable = {}): Promise<boolean> {
    const { leases, holder, everyMs } = this.#options
    // Until after the next one, so that it stays with this process.
    const until = new Date(this.#now() + 2 * everyMs)
    if (!(await leases.leaseEviction({ holder, until }, options))) return false
    await evict(this.#rules, this.#options, options)
    return true
  }

  /** Lets another process go on at once. Call it when no tick runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { leases, holder } = this.#options
    const signal = AbortSignal.timeout(lastSaveMs)
    await leases.releaseEviction(holder, { signal }).catch((error: unknown) => {
      // What cannot be given back runs out.
      if (!isDomainError(error) && !signal.aborted) throw error
    })
  }
}

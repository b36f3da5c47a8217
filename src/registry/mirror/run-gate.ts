import type { DomainError } from '../../errors.ts'
import { type Abortable, orAbort } from '../../storage/abortable.ts'
import { backoffMs } from '../../storage/backoff.ts'
import type { PullQuota } from '../../storage/remote/remote-registries.ts'
import { maxPauseMs, quotaPause } from './quota-pause.ts'

export interface RunGateOptions {
  readonly now: () => Date
  readonly random: () => number
  readonly signal: AbortSignal
  readonly notBefore: (now: Date) => Date | undefined
  readonly quota: () => PullQuota | undefined
  /** Pulls of the quota that are left to others. */
  readonly pullsLeft: number
  /** Waits. Whatever it throws is thrown to all who wait. */
  readonly pause: (until: Date, reason: string, options: Abortable) => Promise<void>
  /** Told once, when the source has asked to wait again and again, and nothing came of it. */
  readonly onGivingUp: (reason: string) => void
}

interface Wait {
  readonly until: Date
  readonly reason: string
}

/** Longest pause where the source asks to wait and does not say how long. */
const maxUntoldMs = 3_600_000
/** Likewise where it says so, again and again, and nothing comes of it. */
const maxLongerMs = 600_000
/** Waits, one after the other, without anything done between them. */
const maxHolds = 20

/** Where all of a run's work passes, so that it pauses as one: outside of the job's window, and when the source asks for it. */
export class RunGate {
  readonly #options: RunGateOptions
  #pausing: Promise<void> | undefined
  #held: Wait | undefined
  #holds = 0

  constructor(options: RunGateOptions) {
    this.#options = options
  }

  /**
   * Waits until work may go on.
   * @param kind `pull`: the source may count it.
   */
  async pass(kind: 'work' | 'pull'): Promise<void> {
    const { signal } = this.#options
    for (;;) {
      signal.throwIfAborted()
      if (this.#pausing === undefined) {
        const wait = this.#due(kind)
        if (wait === undefined) return
        this.#pausing = this.#pause(wait)
      }
      await orAbort(this.#pausing, signal)
    }
  }

  /** The source, or the target, has asked to wait. */
  hold({ message, details }: DomainError): void {
    if (this.#held !== undefined || this.#pausing !== undefined) return
    const { now, random, onGivingUp } = this.#options
    this.#holds += 1
    if (this.#holds > maxHolds) {
      onGivingUp(
        `It was asked to wait ${maxHolds} times without anything coming of it; the last time: ${message}`,
      )
      return
    }
    const { retryAfterSeconds } = details
    // Who says "in a second" every time would be given up within seconds.
    const waitMs =
      retryAfterSeconds === undefined
        ? backoffMs(this.#holds, maxUntoldMs, 0, random())
        : Math.max(
            Math.min(retryAfterSeconds * 1000, maxPauseMs),
            backoffMs(this.#holds, maxLongerMs, 0, random()),
          )
    this.#held = { until: new Date(now().getTime() + waitMs), reason: message }
  }

  /** Something was done. */
  moved(): void {
    this.#holds = 0
  }

  #due(kind: 'work' | 'pull'): Wait | undefined {
    const { now, notBefore, quota, pullsLeft } = this.#options
    if (this.#held !== undefined) return this.#held
    const opensAt = notBefore(now())
    if (opensAt !== undefined) return { until: opensAt, reason: "It is outside of the job's window." }
    const until = kind === 'pull' ? quotaPause(quota(), pullsLeft, now()) : undefined
    if (until === undefined) return undefined
    return {
      until,
      reason: `The source lets this user pull ${quota()?.remaining ?? 0} more manifests for now (limits.pullsLeft: ${pullsLeft}).`,
    }
  }

  async #pause({ until, reason }: Wait): Promise<void> {
    try {
      await this.#options.pause(until, reason, { signal: this.#options.signal })
    } finally {
      this.#held = undefined
      this.#pausing = undefined
    }
  }
}

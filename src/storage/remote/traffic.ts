import type { Readable } from 'node:stream'
import { setTimeout as sleepFor } from 'node:timers/promises'
import pLimit, { type LimitFunction } from 'p-limit'
import type { Abortable } from '../abortable.ts'
import { type Pace, paced } from '../streams/paced-stream.ts'
import { type Rate, take } from '../streams/token-bucket.ts'
import { pullQuotaOf } from './pull-quota.ts'
import type { PullQuota, RemoteRequest, TrafficLimits, TrafficObserver } from './remote-registries.ts'
import { retryAfterMsOf } from './retry-after.ts'

export type Sleep = (ms: number, options: Abortable) => Promise<void>

export interface TrafficParts {
  readonly limits?: TrafficLimits | undefined
  readonly observer?: TrafficObserver | undefined
  readonly sleep?: Sleep | undefined
}

/** Bytes that one transfer passes before it is the others' turn. */
const longestSlice = 64 * 1024

type Header = (name: string) => string | undefined

/** What goes between us, as one user, and a registry: held back to its limits, told to its observer. */
export class Traffic {
  readonly #observer: TrafficObserver | undefined
  readonly #sleep: Sleep
  readonly #requests: Rate | undefined
  readonly #slots: LimitFunction | undefined
  readonly #pace: Pace | undefined
  #fullAt: number | undefined
  #quota: PullQuota | undefined
  /** Milliseconds of a clock that never goes back: setting the other one makes no wait longer. */
  #waitsUntil = Number.NEGATIVE_INFINITY

  constructor({ limits = {}, observer, sleep = defaultSleep }: TrafficParts = {}) {
    const { requestsPerSecond, bytesPerSecond, concurrency } = limits
    this.#observer = observer
    this.#sleep = sleep
    this.#requests =
      requestsPerSecond === undefined
        ? undefined
        : { perSecond: requestsPerSecond, burst: Math.max(1, requestsPerSecond) }
    this.#slots = concurrency === undefined ? undefined : pLimit(concurrency)
    this.#pace = bytesPerSecond === undefined ? undefined : paceOf(bytesPerSecond, sleep)
  }

  get quota(): PullQuota | undefined {
    return this.#quota
  }

  /** Until when it has asked us to wait; undefined when it has not, or that is over. */
  get comeBackAt(): Date | undefined {
    const leftMs = this.#waitsUntil - performance.now()
    return leftMs > 0 ? new Date(Date.now() + leftMs) : undefined
  }

  /** Waits until one more request may be made. */
  async turn({ signal }: Abortable): Promise<void> {
    if (this.#requests === undefined) return
    const { fullAt, waitMs } = take(this.#requests, this.#fullAt, 1, performance.now())
    this.#fullAt = fullAt
    if (waitMs > 0) await this.#sleep(waitMs, { signal })
  }

  /** Waits for one of as many places as there are. @returns gives the place back; may be called again. */
  async place({ signal }: Abortable): Promise<() => void> {
    if (this.#slots === undefined) return () => {}
    const got = Promise.withResolvers<void>()
    const done = Promise.withResolvers<void>()
    const abort = (): void => {
      done.resolve()
      got.reject(signal?.reason as Error)
    }
    signal?.throwIfAborted()
    signal?.addEventListener('abort', abort, { once: true })
    void this.#slots(async () => {
      got.resolve()
      await done.promise
    })
    try {
      await got.promise
    } finally {
      signal?.removeEventListener('abort', abort)
    }
    return () => done.resolve()
  }

  /** An answer's headers have come, or none (status 0). */
  answered(request: RemoteRequest, header: Header = () => undefined): void {
    this.#observer?.request(request)
    const quota = pullQuotaOf(header, new Date())
    if (quota !== undefined) {
      this.#quota = quota
      this.#observer?.quota?.(quota)
    }
    const waitMs =
      request.status === 429 || request.status === 503 ? retryAfterMsOf(header('retry-after')) : 0
    if (waitMs !== undefined && waitMs > 0) this.#waitsUntil = performance.now() + waitMs
  }

  bytes(direction: 'received' | 'sent', count: number): void {
    this.#observer?.bytes(direction, count)
  }

  /** A blob's bytes, no faster than they may pass. */
  paced(blob: Readable): Readable {
    return this.#pace === undefined ? blob : paced(blob, this.#pace)
  }
}

function paceOf(bytesPerSecond: number, sleep: Sleep): Pace {
  const rate: Rate = { perSecond: bytesPerSecond, burst: bytesPerSecond }
  let full: number | undefined
  return {
    sliceBytes: Math.max(1, Math.min(longestSlice, Math.floor(bytesPerSecond / 4))),
    pass: async (bytes, { signal }) => {
      signal?.throwIfAborted()
      const { fullAt, waitMs } = take(rate, full, bytes, performance.now())
      full = fullAt
      if (waitMs > 0) await sleep(waitMs, { signal })
    },
  }
}

export const defaultSleep: Sleep = async (ms, { signal }) => {
  await sleepFor(ms, undefined, { signal })
}

/** So much on average, and so much at once. */
export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

/** A bucket after something was taken from it. */
export interface Taken {
  /** When it will be full again, which is all that is to be known of a bucket. Milliseconds. */
  readonly fullAt: number
  /** How long until what was taken is there; 0: it was there. */
  readonly waitMs: number
}

/** Less is the sum of many errors of rounding. */
const leastWaitMs = 1e-3

/**
 * Takes from a token bucket. Who takes only where there is nothing to wait for, or waits, has never had more than
 * `burst + perSecond × time`.
 *
 * @param fullAt of the bucket before; undefined for one that nobody has taken from.
 */
export function take(
  { perSecond, burst }: Rate,
  fullAt: number | undefined,
  amount: number,
  now: number,
): Taken {
  const next = Math.max(fullAt ?? now, now) + (amount * 1000) / perSecond
  const waitMs = next - now - (burst * 1000) / perSecond
  return { fullAt: next, waitMs: waitMs < leastWaitMs ? 0 : waitMs }
}

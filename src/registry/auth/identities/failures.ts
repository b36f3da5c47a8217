/** Wrong passwords that were given for one thing: an account from an address, or anything from an address. */
export interface Failures {
  readonly count: number
  /** When the last one was given, in milliseconds of any clock. */
  readonly lastAt: number
}

/** How failures are held against somebody. */
export interface DelayPolicy {
  /** Failures that cost nothing. */
  readonly free: number
  /** Milliseconds after those; twice as many after each further one. */
  readonly firstMs: number
  /** The longest delay; and as long again after it everything is forgotten. */
  readonly maxMs: number
}

/** How long nothing more is taken after so many failures, in milliseconds. */
export function delayMs(count: number, { free, firstMs, maxMs }: DelayPolicy): number {
  if (count < free) return 0
  // Past 2^31 nothing is shorter than the longest.
  return Math.min(firstMs * 2 ** Math.min(count - free, 31), maxMs)
}

/** Milliseconds until the next attempt; 0 for now. */
export function waitMs(failures: Failures | undefined, now: number, policy: DelayPolicy): number {
  if (failures === undefined) return 0
  return Math.max(failures.lastAt + delayMs(failures.count, policy) - now, 0)
}

/** With one more. What is long ago is forgotten. */
export function afterFailure(failures: Failures | undefined, now: number, policy: DelayPolicy): Failures {
  const isForgotten =
    failures === undefined || now >= failures.lastAt + delayMs(failures.count, policy) + policy.maxMs
  return { count: (isForgotten ? 0 : failures.count) + 1, lastAt: now }
}

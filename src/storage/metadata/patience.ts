import { setTimeout as sleep } from 'node:timers/promises'
import type { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'

/** How long to wait for a database that is not there yet. */
export interface Patience {
  /** Milliseconds in all; 0: the first failure is the last one. */
  readonly forMs: number
  /** Told why each time before it waits. */
  readonly onWait?: ((reason: DomainError) => void) | undefined
}

const firstPauseMs = 250
const longestPauseMs = 5_000

/**
 * Tries again, with growing pauses, for as long as `reasonToWait` knows one; then fails as the last attempt did. The
 * pauses are random, so that replicas that start together do not come back together.
 */
export async function whilePatient<Result>(
  attempt: () => Promise<Result>,
  reasonToWait: (error: unknown) => DomainError | undefined,
  { forMs, onWait }: Patience,
  { signal }: Abortable = {},
): Promise<Result> {
  const giveUp = performance.now() + forMs
  for (let pause = firstPauseMs; ; pause = Math.min(2 * pause, longestPauseMs)) {
    try {
      return await attempt()
    } catch (error) {
      signal?.throwIfAborted()
      const remaining = giveUp - performance.now()
      const reason = remaining > 0 ? reasonToWait(error) : undefined
      if (reason === undefined) throw error
      onWait?.(reason)
      await sleep(Math.min(pause * (0.5 + Math.random() / 2), remaining), undefined, { signal }).catch(() =>
        signal?.throwIfAborted(),
      )
    }
  }
}

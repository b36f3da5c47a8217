import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../abortable.ts'

/** How long a call waits for others to get out of its way, and the longest pause between attempts. */
const patienceMs = 10_000
const longestPauseMs = 50

/**
 * Tries again while `isTransient` says of the failure that the attempt has changed nothing and may succeed now. The
 * pauses grow, and are random, so that those who met once do not meet again. Gives up with the last failure.
 */
export async function whileTransient<Result>(
  attempt: () => Result | Promise<Result>,
  isTransient: (error: unknown) => boolean,
  { signal }: Abortable = {},
): Promise<Result> {
  const giveUp = performance.now() + patienceMs
  for (let pause = 1; ; pause = Math.min(2 * pause, longestPauseMs)) {
    try {
      return await attempt()
    } catch (error) {
      if (!isTransient(error) || performance.now() > giveUp) throw error
    }
    await sleep(pause * (0.5 + Math.random()))
    signal?.throwIfAborted()
  }
}

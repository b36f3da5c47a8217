import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '../../errors.ts'

/** How long a statement waits for another connection's transaction, and the longest pause between attempts. */
const patienceMs = 10_000
const longestPauseMs = 50

/**
 * Tries again while another connection holds the lock. SQLite's own busy timeout would block this whole process,
 * even from ending the very transaction that is waited for, when that is one of its own.
 */
export async function whileBusy<Result>(attempt: () => Result | Promise<Result>): Promise<Result> {
  const giveUp = performance.now() + patienceMs
  for (let pause = 1; ; pause = Math.min(2 * pause, longestPauseMs)) {
    try {
      return await attempt()
    } catch (error) {
      if (!isBusy(error) || performance.now() > giveUp) throw error
      await sleep(pause * (0.5 + Math.random()))
    }
  }
}

/** SQLITE_BUSY, the low byte of an extended code: sqlite.org/rescode.html. */
function isBusy(error: unknown): boolean {
  return (
    error instanceof Error &&
    errnoOf(error) === 'ERR_SQLITE_ERROR' &&
    'errcode' in error &&
    typeof error.errcode === 'number' &&
    (error.errcode & 0xff) === 5
  )
}

import { errnoOf } from '../../errors.ts'
import { whileTransient } from './repeat.ts'

/**
 * Tries again while another connection holds the lock. SQLite's own busy timeout would block this whole process,
 * even from ending the very transaction that is waited for, when that is one of its own.
 */
export function whileBusy<Result>(attempt: () => Result | Promise<Result>): Promise<Result> {
  return whileTransient(attempt, isBusy)
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

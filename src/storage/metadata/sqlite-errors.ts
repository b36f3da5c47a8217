import { DomainError, type ErrorCode, errnoOf } from '../../errors.ts'

/** Primary result codes: sqlite.org/rescode.html. Codes that only a bug can cause are left out. */
const failures: ReadonlyMap<number, { readonly code: ErrorCode; readonly what: string }> = new Map([
  [5, { code: 'unavailable', what: 'another process has kept it locked for too long' }],
  [6, { code: 'unavailable', what: 'another process has kept it locked for too long' }],
  [8, { code: 'unavailable', what: 'it is not writable; check its owner and permissions' }],
  [10, { code: 'unavailable', what: 'the disk failed' }],
  [11, { code: 'unavailable', what: 'it is damaged; restore a backup' }],
  [13, { code: 'no_space', what: 'the disk is full; free some space and try again' }],
  [14, { code: 'unavailable', what: 'it cannot be opened; check that its directory is there and writable' }],
  [26, { code: 'unavailable', what: 'it is not a SQLite database; choose another file' }],
])

/** The one place that turns what `node:sqlite` throws into a DomainError. What is a bug stays as it is. */
export function fromSqlite(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || errnoOf(error) !== 'ERR_SQLITE_ERROR' || !('errcode' in error))
    return error
  return typeof error.errcode === 'number' ? (fromSqliteCode(error.errcode, path, error) ?? error) : error
}

/** As {@link fromSqlite}, of an error that came from another thread. */
export function fromSqliteCode(errcode: number, path: string, cause: unknown): DomainError | undefined {
  // The low byte of an extended code is its primary code.
  const failure = failures.get(errcode & 0xff)
  if (failure === undefined) return undefined
  return new DomainError(
    failure.code,
    `The database ${path} cannot be used: ${failure.what}.`,
    { resource: 'database', name: path },
    { cause },
  )
}

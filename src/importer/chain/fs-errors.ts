import { DomainError, type ErrorCode, errnoOf, type Resource } from '../../errors.ts'

interface Rule {
  readonly code: ErrorCode
  readonly why: string
}

const rules: Readonly<Record<string, Rule>> = {
  EACCES: { code: 'denied', why: 'this user may not do that; run Varve as root' },
  EPERM: { code: 'denied', why: 'this user may not do that; run Varve as root' },
  EROFS: { code: 'denied', why: 'the filesystem is read-only' },
  ENOENT: { code: 'not_found', why: 'it is not there' },
  ENOTDIR: { code: 'conflict', why: 'something that is no directory is in the way' },
  EEXIST: { code: 'already_exists', why: 'it is there already' },
  ENOTEMPTY: { code: 'already_exists', why: 'it is there already' },
  EBUSY: { code: 'busy', why: 'something still uses it' },
  ENOSPC: { code: 'no_space', why: 'the disk is full' },
  EDQUOT: { code: 'no_space', why: 'the quota is used up' },
}

/**
 * The one place where a failure of `node:fs` in a chain store becomes ours; what is no system error is passed
 * on.
 */
export function convertFsFailure(error: unknown, path: string, resource: Resource = 'chain'): unknown {
  const errno = errnoOf(error)
  if (error instanceof DomainError || errno === undefined || errno === 'ABORT_ERR') return error
  const { code, why } = rules[errno] ?? { code: 'unavailable', why: 'the filesystem failed' }
  const message = `${path} cannot be read or changed (${errno}): ${why}.`
  return new DomainError(code, message, { resource, name: path }, { cause: error })
}

/** Runs filesystem calls about `path` with their failures converted. */
export async function onDisk<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw convertFsFailure(error, path)
  }
}

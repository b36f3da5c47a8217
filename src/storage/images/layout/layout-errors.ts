import { DomainError, type ErrorCode, errnoOf } from '../../../errors.ts'

const codeOfErrno: ReadonlyMap<string, ErrorCode> = new Map([
  ['ENOENT', 'not_found'],
  ['ENOTDIR', 'not_found'],
  ['EACCES', 'denied'],
  ['EPERM', 'denied'],
  ['EROFS', 'denied'],
  ['ELOOP', 'invalid'],
  ['ENXIO', 'invalid'],
  ['ENOSPC', 'no_space'],
  ['EDQUOT', 'no_space'],
])

const endOf: Readonly<Partial<Record<ErrorCode, string>>> = {
  not_found: 'is not there',
  denied: 'may not be used by this user',
  invalid: 'is no regular file',
  no_space: 'cannot be written: the disk is full',
}

/**
 * The one place that turns what `node:fs` throws about a layout into a DomainError. What is no system error stays as it is.
 * @param what the file, for people: `in oci:/srv/layout, index.json`.
 */
export function fromLayoutFile(error: unknown, what: string): unknown {
  const errno = errnoOf(error)
  if (!(error instanceof Error) || errno === undefined || !('syscall' in error)) return error
  const code = codeOfErrno.get(errno) ?? 'unavailable'
  const message = `${what} ${endOf[code] ?? 'cannot be used'} (${errno}).`
  return new DomainError(
    code,
    `${message.charAt(0).toUpperCase()}${message.slice(1)}`,
    { resource: 'image', name: what },
    { cause: error },
  )
}

export async function converting<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw fromLayoutFile(error, what)
  }
}

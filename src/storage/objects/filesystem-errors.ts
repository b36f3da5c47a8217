import { DomainError, type ErrorCode, errnoOf } from '../../errors.ts'

const codeOfErrno: ReadonlyMap<string, ErrorCode> = new Map([
  ['ENOENT', 'not_found'],
  ['EEXIST', 'already_exists'],
  ['ENOSPC', 'no_space'],
  ['EDQUOT', 'no_space'],
])

const sentenceOf: Readonly<Partial<Record<ErrorCode, (name: string) => string>>> = {
  not_found: name => `The object ${name} does not exist.`,
  already_exists: name => `The object ${name} exists already.`,
  no_space: name => `The object ${name} cannot be stored: the disk is full; free some space and try again.`,
}

/** The one place that turns what `node:fs` throws into a DomainError. What is no system error stays as it is. */
export function fromFilesystem(error: unknown, name: string): unknown {
  const errno = errnoOf(error)
  if (!(error instanceof Error) || errno === undefined || !('syscall' in error)) return error
  const code = codeOfErrno.get(errno) ?? 'unavailable'
  const message =
    sentenceOf[code]?.(name) ??
    `The directory of the object store cannot be used for ${name} (${errno}); check the disk and the permissions.`
  return new DomainError(code, message, { resource: 'object', name }, { cause: error })
}

import { DomainError, errnoOf } from '../../errors.ts'

/**
 * The one place that turns what `node:fs` throws about another registry's directory into a DomainError. Whatever one
 * file is refused with is that file's fault, so that a damaged disk loses no more than is damaged.
 */
export function fromLegacyFile(error: unknown, path: string): unknown {
  const errno = errnoOf(error)
  if (!(error instanceof Error) || errno === undefined || !('syscall' in error)) return error
  const options = { cause: error }
  const details = { resource: 'object', name: path } as const
  if (errno === 'ENOENT' || errno === 'ENOTDIR')
    return new DomainError('not_found', `The file ${path} does not exist.`, details, options)
  if (errno === 'EACCES' || errno === 'EPERM')
    return new DomainError(
      'denied',
      `The file ${path} may not be read (${errno}); adopt as a user who may.`,
      details,
      options,
    )
  return new DomainError('invalid', `The file ${path} cannot be read (${errno}).`, details, options)
}

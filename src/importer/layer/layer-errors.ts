import { DomainError, errnoOf, isDomainError } from '../../errors.ts'

/** The layer can never be applied as it is. @param why continues "The layer cannot be applied: ". */
export function invalidLayer(why: string, cause?: unknown): DomainError {
  return new DomainError('invalid', `The layer cannot be applied: ${why}.`, { resource: 'layer' }, { cause })
}

/** The layer uses something that Varve does not read. */
export function unsupportedLayer(why: string): DomainError {
  return new DomainError('unsupported', `The layer cannot be applied: ${why}.`, { resource: 'layer' })
}

/** The layer exceeds a limit, which the operator may raise. */
export function layerTooLarge(why: string): DomainError {
  return new DomainError('too_large', `The layer cannot be applied: ${why}.`, { resource: 'layer' })
}

/**
 * The one place where failures of file system calls, and of the stream's own end, become ours. Whatever is no such
 * failure is handed back.
 * @param what the thing that was being made, for the message.
 */
export function fromOutside(error: unknown, what: string): unknown {
  const errno = errnoOf(error)
  if (errno === undefined || isDomainError(error)) return error
  const fail = (code: ConstructorParameters<typeof DomainError>[0], message: string): DomainError =>
    new DomainError(code, message, { resource: 'layer' }, { cause: error })
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
      return fail('no_space', `There is no space left to write ${what}; free some or raise the quota.`)
    case 'ENAMETOOLONG':
    case 'EMLINK':
    case 'EILSEQ':
    case 'EINVAL':
      return invalidLayer(`the file system does not take ${what} (${errno})`, error)
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return fail('denied', `The host does not let us write ${what} (${errno}); layers are applied as root.`)
    case 'ENOENT':
    case 'EEXIST':
    case 'ENOTDIR':
    case 'EISDIR':
    case 'ENOTEMPTY':
    case 'ELOOP':
      return fail(
        'conflict',
        `The tree changed under us while ${what} was written (${errno}); nothing else may write there.`,
      )
    case 'EAGAIN':
    case 'EIO':
    case 'ENOBUFS':
    case 'ENOMEM':
    case 'EMFILE':
    case 'ENFILE':
    case 'EBUSY':
      return fail('unavailable', `The file system failed to write ${what} (${errno}).`)
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return fail('unavailable', `The layer's stream was closed at ${what}, before its end; try again.`)
    default:
      return error
  }
}

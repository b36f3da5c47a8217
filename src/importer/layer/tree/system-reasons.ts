/** What strerror(3) says in English, in the C libraries that programs here are linked with. */
const reasons: ReadonlyMap<string, string> = new Map([
  ['Argument list too long', 'E2BIG'],
  ['Disk quota exceeded', 'EDQUOT'],
  ['File exists', 'EEXIST'],
  ['File too large', 'EFBIG'],
  ['Input/output error', 'EIO'],
  ['I/O error', 'EIO'],
  ['Invalid argument', 'EINVAL'],
  ['No data available', 'ENODATA'],
  ['No space left on device', 'ENOSPC'],
  ['No such file or directory', 'ENOENT'],
  ['Not a directory', 'ENOTDIR'],
  ['Not supported', 'ENOTSUP'],
  ['Numerical result out of range', 'ERANGE'],
  ['Operation not permitted', 'EPERM'],
  ['Operation not supported', 'ENOTSUP'],
  ['Permission denied', 'EACCES'],
  ['Quota exceeded', 'EDQUOT'],
  ['Read-only file system', 'EROFS'],
  ['Result not representable', 'ERANGE'],
  ['Too many links', 'EMLINK'],
])

/** The errno that a reason stands for, if it is one that is known. */
export function errnoOfReason(reason: string): string | undefined {
  return reasons.get(reason)
}

/** The errno that a program's complaint ends in. */
export function errnoIn(complaint: string): string | undefined {
  return errnoOfReason(complaint.slice(complaint.lastIndexOf(': ') + 2))
}

/** A failure of a program, as what Node would have thrown had it made the call itself. */
export function asSystemError(
  program: string,
  complaint: string,
  errno = errnoIn(complaint) ?? 'EIO',
): Error {
  return Object.assign(new Error(`${program}: ${complaint}`), { code: errno })
}

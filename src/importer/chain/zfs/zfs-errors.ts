import { DomainError, type ErrorCode, errnoOf, isDomainError, type Resource } from '../../../errors.ts'

/** What a `zfs` command was about, for the error's details. */
export interface Subject {
  readonly resource: Resource
  readonly name: string
}

/** How a `zfs` command ended, when it did not end well. */
export interface CommandFailure {
  /** As they were given, without the program's name. */
  readonly args: readonly string[]
  /** What `execFile` rejected with. */
  readonly cause: unknown
}

const ioError = /\bI\/O error/i

interface Rule {
  readonly pattern: RegExp
  readonly code: ErrorCode
  readonly resource?: Resource
  readonly wayOut: string
}

const installZfs =
  'install OpenZFS (Debian and Ubuntu: zfsutils-linux; FreeBSD and illumos have it), or use a directory for the chains'

/**
 * The sentences of libzfs (OpenZFS, illumos, FreeBSD) and of zfs-fuse, in the locale C. First match decides,
 * so the more special ones come first.
 */
const rules: readonly Rule[] = [
  {
    pattern: /modules? (?:are|is) not loaded|zfs-fuse daemon is running|\/dev\/zfs/i,
    code: 'unavailable',
    resource: 'pool',
    wayOut: 'ZFS does not run on this host; load its kernel module (modprobe zfs)',
  },
  {
    pattern: /permission denied|must be run as root|operation not permitted|must be superuser/i,
    code: 'denied',
    resource: 'pool',
    wayOut: 'run Varve as root, which mounting datasets needs',
  },
  {
    pattern: /no such pool/i,
    code: 'not_found',
    resource: 'pool',
    wayOut: 'make the pool with zpool create, or choose one of those that zpool list shows',
  },
  {
    pattern: /out of space|no space left|quota exceeded/i,
    code: 'no_space',
    resource: 'pool',
    wayOut: 'free space in the pool, or raise the quota',
  },
  {
    pattern:
      /bad numeric value|less than current used|must be (?:one of|power of)|invalid (?:property|value|option)|value too long/i,
    code: 'invalid',
    wayOut: 'give another value',
  },
  { pattern: /no such tag/i, code: 'not_found', wayOut: 'zfs holds shows the tags that there are' },
  {
    pattern: /unrecognized command|pool must be upgraded|unsupported version|operation not supported/i,
    code: 'unsupported',
    wayOut: 'this ZFS or the version of this pool cannot do that',
  },
  { pattern: /already mounted/i, code: 'already_exists', wayOut: 'it is mounted' },
  { pattern: /not currently mounted/i, code: 'not_found', wayOut: 'it is not mounted' },
  {
    pattern: /dependent clones|has children|more recent snapshots|clone(?:s)? exist|being held/i,
    code: 'conflict',
    wayOut: 'remove first what depends on it',
  },
  {
    pattern: /busy|umount failed|unmount failed/i,
    code: 'busy',
    wayOut: 'end what still uses it (fuser -m shows the processes) and try again',
  },
  { pattern: ioError, code: 'unavailable', wayOut: 'zpool status shows what is wrong with the pool' },
  { pattern: /already exists/i, code: 'already_exists', wayOut: 'choose another name' },
  {
    pattern: /does not exist|no such (?:dataset|snapshot)|could not find any snapshots/i,
    code: 'not_found',
    wayOut: 'it may have been destroyed by hand',
  },
  {
    pattern: /directory is not empty|not a directory|legacy mountpoint|no mountpoint set/i,
    code: 'conflict',
    wayOut: 'give the dataset a mountpoint that is an empty directory (zfs set mountpoint=…)',
  },
]

/**
 * Whether the same command may succeed in a moment: something is being unmounted. zfs-fuse then even calls a
 * rollback an I/O error, about once in thirty; one that is real stays and is reported after the last attempt.
 */
export function isTransient(error: unknown): boolean {
  if (isDomainError(error, 'busy')) return true
  return isDomainError(error, 'unavailable') && ioError.test(stderrOf(error.cause))
}

/** What the program printed, as `execFile` hands it on with its error. */
export function stderrOf(error: unknown): string {
  if (error instanceof Error && 'stderr' in error && typeof error.stderr === 'string') return error.stderr
  return error instanceof Error ? error.message : String(error)
}

/** What it printed before it failed. */
export function stdoutOf(error: unknown): string {
  return error instanceof Error && 'stdout' in error && typeof error.stdout === 'string' ? error.stdout : ''
}

/**
 * The one place where a failure of `zfs` becomes ours. What no rule knows is `unavailable`, with the first
 * line of what zfs said.
 */
export function convertZfsFailure(subject: Subject, failure: CommandFailure): DomainError {
  const { cause } = failure
  const stderr = stderrOf(cause)
  const what = `zfs ${failure.args[0] ?? ''}`.trim()
  if (errnoOf(cause) === 'ENOENT')
    return domainError(
      'unavailable',
      { resource: 'pool', name: subject.name },
      `The program zfs is not on this host; ${installZfs}.`,
      cause,
    )
  const rule = rules.find(({ pattern }) => pattern.test(stderr))
  const said = firstLine(stderr)
  if (rule === undefined)
    return domainError('unavailable', subject, `${what} failed for ${subject.name}: ${said}.`, cause)
  const { code, resource = subject.resource, wayOut } = rule
  return domainError(
    code,
    { resource, name: subject.name },
    `${what} failed for ${subject.name} (${said}); ${wayOut}.`,
    cause,
  )
}

function firstLine(stderr: string): string {
  const line = stderr
    .split('\n')
    .map(text => text.trim())
    .find(text => text !== '')
  return (line ?? 'it gave no reason').replace(/\.$/, '')
}

function domainError(code: ErrorCode, subject: Subject, message: string, cause: unknown): DomainError {
  return new DomainError(code, message, subject, { cause })
}

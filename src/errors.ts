/**
 * What went wrong, from the point of view of the caller who has to react.
 * Codes are stable; messages are for people and may change.
 */
export type ErrorCode =
  | 'invalid' // the input can never be accepted as it is
  | 'not_found'
  | 'already_exists'
  | 'conflict' // the present state forbids it (in use, changed meanwhile)
  | 'busy' // somebody else holds it now; the same call may succeed later
  | 'digest_mismatch'
  | 'size_mismatch'
  | 'out_of_range' // a byte range or upload offset that does not fit
  | 'missing_reference' // a manifest names content that is not there
  | 'too_large'
  | 'unsupported'
  | 'unauthorized'
  | 'denied'
  | 'throttled' // too many requests, or too many wrong passwords; later they are welcome again
  | 'no_space'
  | 'unavailable' // a service that we depend on does not answer

export type Resource =
  | 'repository'
  | 'manifest'
  | 'tag'
  | 'digest'
  | 'blob'
  | 'upload'
  | 'object'
  | 'layer'
  | 'image'
  | 'platform'
  | 'registry'
  | 'pool'
  | 'chain'
  | 'clone'
  | 'config'
  | 'request'
  | 'extension'
  | 'database'
  | 'event'
  | 'tenant'
  | 'account'
  | 'credential'
  | 'grant'
  | 'rule'
  | 'quota'
  | 'mirror'
  | 'garbage'
  | 'scrub'
  | 'backup'

/** RFC 6749, 5.2. */
export type OAuthError = 'invalid_request' | 'invalid_grant' | 'unsupported_grant_type'

export interface ErrorDetails {
  /** The kind of thing that the error is about. */
  readonly resource: Resource
  /** The name of the thing, as the caller wrote it. */
  readonly name?: string | undefined
  /** Digests that a manifest names and that are not there (`missing_reference`). */
  readonly missing?: readonly string[] | undefined
  /** Bytes that an upload session holds (`out_of_range` on an upload). */
  readonly offset?: number | undefined
  /** Seconds after which it is worth another try, where that is known (`unavailable`, `throttled`). */
  readonly retryAfterSeconds?: number | undefined
  /** What `WWW-Authenticate` answers (`unauthorized`): exactly one challenge. */
  readonly challenge?: string | undefined
  /** What it is called in the other form of errors that clients of a token service read. */
  readonly oauth?: OAuthError | undefined
  /** Whether a request has come back to a registry that has passed it on. */
  readonly isLoop?: boolean | undefined
  /**
   * By which rule something was refused, and whom: the account that has proved who it is, or the name that somebody only
   * claimed. For the audit log, not for the caller.
   */
  readonly rule?: string | undefined
  readonly account?: string | undefined
  readonly claimed?: string | undefined
}

/**
 * The one error that crosses module borders on purpose. Everything else that is thrown is a bug:
 * logged in full at the edge, and told to nobody outside.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError'
  readonly code: ErrorCode
  readonly details: ErrorDetails

  /** @param message one sentence that names the thing and, where there is one, the way out. */
  constructor(code: ErrorCode, message: string, details: ErrorDetails, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
    this.details = Object.freeze({ ...details })
  }
}

export function isDomainError(error: unknown, ...codes: readonly ErrorCode[]): error is DomainError {
  return error instanceof DomainError && (codes.length === 0 || codes.includes(error.code))
}

/** What failed first, where `using` could not put something away after that. */
export function primaryOf(error: unknown): unknown {
  return error instanceof SuppressedError ? primaryOf(error.suppressed) : error
}

/** Abort is the caller's own wish, so it is never reported as a failure. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || errnoOf(error) === 'ABORT_ERR')
}

/** The `code` of a Node system error (`ENOENT`, `EEXIST` …), if it has one. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

import { type DomainError, type ErrorCode, isDomainError, primaryOf, type Resource } from '../errors.ts'
import { type Headers, json, type Reply } from './reply.ts'

/** distribution-spec, "Error Codes" and "Extensions", those that the Docker protocol adds, and those of administration. */
export type OciErrorCode =
  | 'ALREADY_EXISTS'
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'CONFLICT'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'EXTENSION_UNKNOWN'
  | 'INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'NOT_FOUND'
  | 'PAGINATION_NUMBER_INVALID'
  | 'RANGE_INVALID'
  | 'SIZE_INVALID'
  | 'TAG_INVALID'
  | 'TOO_LARGE'
  | 'TOOMANYREQUESTS'
  | 'UNAUTHORIZED'
  | 'UNAVAILABLE'
  | 'UNKNOWN'
  | 'UNSUPPORTED'

export interface HttpFailure {
  readonly status: number
  readonly code: OciErrorCode
}

/**
 * What each failure is in HTTP: the row of its code and resource, else of its code with `*`. What has no row is
 * a bug.
 */
const table: Readonly<Partial<Record<`${ErrorCode} ${Resource | '*'}`, HttpFailure>>> = {
  'invalid repository': { status: 400, code: 'NAME_INVALID' },
  'invalid tag': { status: 400, code: 'TAG_INVALID' },
  'invalid digest': { status: 400, code: 'DIGEST_INVALID' },
  'invalid manifest': { status: 400, code: 'MANIFEST_INVALID' },
  'invalid upload': { status: 400, code: 'BLOB_UPLOAD_INVALID' },
  // The size of a page is the only free-standing value in a request that can be malformed.
  'invalid request': { status: 400, code: 'PAGINATION_NUMBER_INVALID' },

  'not_found repository': { status: 404, code: 'NAME_UNKNOWN' },
  'not_found manifest': { status: 404, code: 'MANIFEST_UNKNOWN' },
  'not_found tag': { status: 404, code: 'MANIFEST_UNKNOWN' },
  'not_found blob': { status: 404, code: 'BLOB_UNKNOWN' },
  'not_found upload': { status: 404, code: 'BLOB_UPLOAD_UNKNOWN' },
  'not_found extension': { status: 404, code: 'EXTENSION_UNKNOWN' },
  // Never NAME_UNKNOWN: from that, clients conclude that the repository is missing, not the endpoint.
  'not_found request': { status: 404, code: 'UNSUPPORTED' },

  'digest_mismatch *': { status: 400, code: 'DIGEST_INVALID' },
  'size_mismatch *': { status: 400, code: 'SIZE_INVALID' },
  'missing_reference *': { status: 400, code: 'MANIFEST_BLOB_UNKNOWN' },
  'too_large manifest': { status: 413, code: 'MANIFEST_INVALID' },
  'too_large tag': { status: 414, code: 'MANIFEST_INVALID' },

  // Its name is the oldest position that is kept.
  'out_of_range event': { status: 410, code: 'RANGE_INVALID' },
  'out_of_range blob': { status: 416, code: 'RANGE_INVALID' },
  // All three say the same to a client: look where the session stands before you go on.
  'out_of_range upload': { status: 416, code: 'RANGE_INVALID' },
  'busy upload': { status: 416, code: 'RANGE_INVALID' },
  'conflict upload': { status: 416, code: 'RANGE_INVALID' },

  // Administration only: no client of the protocol renames or deletes a repository.
  'already_exists repository': { status: 409, code: 'ALREADY_EXISTS' },
  'conflict repository': { status: 409, code: 'CONFLICT' },
  // What it had is being put away, or comes back: in seconds it is there, or its name is free.
  'busy repository': { status: 503, code: 'UNAVAILABLE' },

  // A condition of the request does not hold: RFC 9110, 15.5.13. The spec has no code of its own for it.
  'conflict manifest': { status: 412, code: 'DENIED' },
  // A tag that may not be changed; docker prints the message.
  'conflict tag': { status: 409, code: 'DENIED' },
  // distribution-spec allows only 404 and 405 when a blob is not deleted.
  'conflict blob': { status: 405, code: 'DENIED' },
  'unsupported request': { status: 405, code: 'UNSUPPORTED' },
  'unauthorized *': { status: 401, code: 'UNAUTHORIZED' },
  'denied *': { status: 403, code: 'DENIED' },
  'throttled *': { status: 429, code: 'TOOMANYREQUESTS' },
  'no_space *': { status: 507, code: 'UNAVAILABLE' },
  'unavailable *': { status: 503, code: 'UNAVAILABLE' },
}

/**
 * A request that has come round. Registries in between go by the status, which HEAD has, too (RFC 5842, 7.2); docker shows
 * what a body says only of 4xx.
 */
const loops: Readonly<Partial<Record<ErrorCode, HttpFailure>>> = {
  unsupported: { status: 508, code: 'UNSUPPORTED' },
  invalid: { status: 400, code: 'UNSUPPORTED' },
}

const adminTable: Readonly<Partial<Record<ErrorCode, HttpFailure>>> = {
  invalid: { status: 400, code: 'INVALID' },
  not_found: { status: 404, code: 'NOT_FOUND' },
  already_exists: { status: 409, code: 'ALREADY_EXISTS' },
  conflict: { status: 409, code: 'CONFLICT' },
  too_large: { status: 413, code: 'TOO_LARGE' },
  busy: { status: 503, code: 'UNAVAILABLE' },
}

/** What administration is about: nothing of the protocol's, so its failures have codes of their own. */
const adminResources: readonly Resource[] = [
  'tenant',
  'account',
  'credential',
  'grant',
  'rule',
  'mirror',
  'garbage',
  'scrub',
  'backup',
]

const bug: HttpFailure = { status: 500, code: 'UNKNOWN' }

/** Failures of ours are told without their details, which may name hosts and paths. */
const ownMessages: Readonly<Record<number, string>> = {
  500: 'The registry made a mistake; its log has the details under this request id.',
  503: 'The registry cannot reach its storage now; try again later.',
  507: 'The registry has no space left.',
}

/** Seconds after which a client that honours Retry-After comes back, where the cause has not said. */
const retryAfterSeconds = 5

/** A manifest can name tens of thousands of blobs; the client learns enough from these. */
const maxMissing = 1000

export function failureOf(failure: unknown): HttpFailure {
  const error = primaryOf(failure)
  if (!isDomainError(error)) return bug
  const { code, details } = error
  const loop = details.isLoop === true ? loops[code] : undefined
  if (loop !== undefined) return loop
  const ofAdmin = adminResources.includes(details.resource) ? adminTable[code] : undefined
  return table[`${code} ${details.resource}`] ?? ofAdmin ?? table[`${code} *`] ?? bug
}

/** The whole answer: distribution-spec, "Error Codes", one entry for each missing reference. */
export function errorReply(failure: unknown): Reply {
  const error = primaryOf(failure)
  const { status, code } = failureOf(error)
  const own = ownMessageOf(error, status)
  const errors =
    own === undefined && isDomainError(error)
      ? entriesOf(error, code)
      : [{ code, message: own ?? 'The request failed.' }]
  return json(status, { errors, ...oauthOf(error) }, headersOf(error, status))
}

/** An OpenID provider that does not answer, for one, is nothing that the registry keeps anything in. */
function ownMessageOf(error: unknown, status: number): string | undefined {
  const resource = status === 503 && isDomainError(error) ? error.details.resource : undefined
  if (status === 503 && isDomainError(error, 'busy')) return undefined
  if (resource === 'account') return 'Who you are cannot be found out now; try again later.'
  if (resource === 'registry')
    return 'The registry that this is a copy of cannot be asked now; try again later.'
  return ownMessages[status]
}

/** RFC 6749, 5.2, beside the registry's own form: clients of a token service read the one or the other. */
function oauthOf(error: unknown): object {
  if (!isDomainError(error) || error.details.oauth === undefined) return {}
  return { error: error.details.oauth, error_description: error.message }
}

function headersOf(error: unknown, status: number): Headers {
  if (status === 429 || status === 503 || status === 507)
    return { 'Retry-After': String(retryAfterOf(error)) }
  const challenge = isDomainError(error) ? error.details.challenge : undefined
  return status === 401 && challenge !== undefined ? { 'WWW-Authenticate': challenge } : {}
}

function retryAfterOf(error: unknown): number {
  const given = isDomainError(error) ? error.details.retryAfterSeconds : undefined
  // RFC 9110, 10.2.3: whole seconds.
  return Math.ceil(given ?? retryAfterSeconds)
}

function entriesOf({ message, details }: DomainError, code: OciErrorCode): object[] {
  if (details.missing !== undefined && details.missing.length > 0)
    return details.missing.slice(0, maxMissing).map(digest => ({ code, message, detail: { digest } }))
  return [{ code, message, ...(details.name === undefined ? {} : { detail: { name: details.name } }) }]
}

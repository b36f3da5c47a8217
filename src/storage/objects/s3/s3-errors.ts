import { DomainError, type ErrorCode, errnoOf, isDomainError } from '../../../errors.ts'
import { uploadGone } from '../part-list.ts'

/** What a request was about. */
export interface S3Subject {
  readonly bucket: string
  /** Where the store is, as an operator would name it. */
  readonly store: string
  /** The object's key; undefined when it was about the bucket. */
  readonly key?: string | undefined
}

interface Failure {
  readonly code: ErrorCode
  readonly sentence: (about: S3Subject, name: string) => string
}

const failures = {
  noObject: { code: 'not_found', sentence: ({ key }) => `The object ${key} does not exist.` },
  exists: { code: 'already_exists', sentence: ({ key }) => `The object ${key} exists already.` },
  range: { code: 'out_of_range', sentence: ({ key }) => `The object ${key} has no such bytes.` },
  part: {
    code: 'invalid',
    sentence: ({ key }) =>
      `The object ${key} cannot be put together: a part was never sent, or was sent again with other bytes.`,
  },
  conflict: {
    code: 'conflict',
    sentence: ({ key, store }) => `Somebody else is writing the object ${key} in ${store}; try again.`,
  },
  lacking: {
    code: 'unsupported',
    sentence: ({ store }, name) => `The object store ${store} cannot do what was asked of it (${name}).`,
  },
  full: {
    code: 'no_space',
    sentence: ({ bucket, store }, name) =>
      `The bucket ${bucket} at ${store} takes no more bytes (${name}); free some space or raise its quota.`,
  },
  noBucket: {
    code: 'unavailable',
    sentence: ({ bucket, store }) =>
      `The bucket ${bucket} does not exist at ${store}; create it, or correct its name or the endpoint.`,
  },
  denied: {
    code: 'unavailable',
    sentence: ({ bucket, store }, name) =>
      `The object store ${store} refuses access to the bucket ${bucket} (${name}); check the access key and its secret, and let it read, write, delete and list there.`,
  },
  credentials: {
    code: 'unavailable',
    sentence: ({ bucket, store }, name) =>
      `The object store ${store} does not accept the credentials for the bucket ${bucket} (${name}); check the access key and its secret, whether they have expired, and this machine's clock.`,
  },
  noCredentials: {
    code: 'unavailable',
    sentence: ({ bucket, store }) =>
      `There are no credentials for the bucket ${bucket} at ${store}; set an access key and its secret, or a role that the AWS SDK finds.`,
  },
  region: {
    code: 'unavailable',
    sentence: ({ bucket, store }, name) =>
      `The bucket ${bucket} is not at ${store} (${name}); set its region or its endpoint.`,
  },
  smallPart: {
    code: 'unavailable',
    sentence: ({ store }, name) =>
      `The object store ${store} takes no parts as small as these (${name}); upload in parts of 5 MiB or more.`,
  },
  busy: {
    code: 'unavailable',
    sentence: ({ store }, name) => `The object store ${store} has too much to do (${name}); try again later.`,
  },
  failed: {
    code: 'unavailable',
    sentence: ({ bucket, store }, name) =>
      `The object store ${store} failed at a request for the bucket ${bucket} (${name}); try again, and look at its log if that goes on.`,
  },
  untrusted: {
    code: 'unavailable',
    sentence: ({ store }, name) =>
      `Nobody that is trusted here has signed the certificate of the object store ${store} (${name}); name the file of its authority in storage.s3.caFile.`,
  },
  expired: {
    code: 'unavailable',
    sentence: ({ store }, name) =>
      `The certificate of the object store ${store} is not valid at this time (${name}); renew it, or correct this machine's clock.`,
  },
  otherName: {
    code: 'unavailable',
    sentence: ({ bucket, store }, name) =>
      `The certificate of the object store ${store} is one for other host names (${name}); call the store in storage.s3.endpoint as its certificate does, and where the bucket ${bucket} is a part of the name, let it be for those names, too.`,
  },
  noTls: {
    code: 'unavailable',
    sentence: ({ store }, name) =>
      `No TLS can be spoken with the object store ${store} (${name}); correct the port in storage.s3.endpoint, or write http:// there if it speaks none.`,
  },
  silent: {
    code: 'unavailable',
    sentence: ({ store }, name) =>
      `The object store ${store} does not answer (${name}); check the endpoint and the network.`,
  },
} as const satisfies Readonly<Record<string, Failure>>

/** By the code in the answer (Amazon S3 API reference, "Error responses"; and those of other stores). */
const ofCode: ReadonlyMap<string, Failure> = new Map([
  ...named(failures.noObject, 'NoSuchKey'),
  ...named(failures.exists, 'PreconditionFailed'),
  ...named(failures.range, 'InvalidRange'),
  ...named(failures.part, 'InvalidPart', 'InvalidPartOrder'),
  ...named(failures.conflict, 'ConditionalRequestConflict', 'OperationAborted'),
  ...named(failures.lacking, 'NotImplemented', 'MethodNotAllowed'),
  ...named(failures.full, 'EntityTooLarge', 'NotEnoughSpace', 'QuotaExceeded', 'InsufficientCapacity'),
  ...named(failures.full, 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded'),
  ...named(failures.noBucket, 'NoSuchBucket'),
  ...named(failures.denied, 'AccessDenied', 'AllAccessDisabled', 'AccountProblem'),
  ...named(failures.credentials, 'InvalidAccessKeyId', 'SignatureDoesNotMatch', 'RequestTimeTooSkewed'),
  ...named(failures.credentials, 'ExpiredToken', 'InvalidToken', 'TokenRefreshRequired', 'RequestExpired'),
  ...named(failures.noCredentials, 'CredentialsProviderError'),
  ...named(failures.region, 'PermanentRedirect', 'TemporaryRedirect', 'AuthorizationHeaderMalformed'),
  ...named(failures.smallPart, 'EntityTooSmall'),
  ...named(failures.busy, 'SlowDown', 'ServiceUnavailable', 'RequestLimitExceeded', 'Throttling'),
  ...named(failures.busy, 'TooManyRequests', 'TooManyRequestsException', 'ThrottlingException'),
])

/** By the code of Node's TLS errors. */
const ofErrno: ReadonlyMap<string, Failure> = new Map([
  ...named(failures.untrusted, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'),
  ...named(failures.untrusted, 'UNABLE_TO_GET_ISSUER_CERT', 'CERT_SIGNATURE_FAILURE'),
  ...named(failures.untrusted, 'SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT'),
  ...named(failures.expired, 'CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'),
  ...named(failures.otherName, 'ERR_TLS_CERT_ALTNAME_INVALID'),
  ...named(failures.noTls, 'EPROTO'),
])

/** When the code says nothing: the answer to a HEAD has none. */
const ofStatus: ReadonlyMap<number, Failure> = new Map<number, Failure>([
  [301, failures.region],
  [307, failures.region],
  [401, failures.credentials],
  [403, failures.denied],
  [404, failures.noObject],
  [405, failures.lacking],
  [409, failures.conflict],
  [412, failures.exists],
  [416, failures.range],
  [429, failures.busy],
  [501, failures.lacking],
  [503, failures.busy],
  [507, failures.full],
])

/** What the SDK adds to what it throws. */
interface SdkError extends Error {
  readonly $metadata?: {
    readonly httpStatusCode?: number | undefined
    readonly requestId?: string | undefined
  }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> | undefined }
}

/**
 * The one place that turns what the SDK, and a connection to the store, throw into a DomainError. A mistake in our own
 * code stays as it is.
 */
export function fromS3(error: unknown, about: S3Subject): unknown {
  if (!isSdkError(error) || isDomainError(error) || isMistake(error)) return error
  if (error.name === 'NoSuchUpload') return uploadGone(about.key ?? about.bucket, summaryOf(error))
  const failure = failureOf(error, about)
  const name = errnoOf(error) ?? nameOf(error)
  return new DomainError(
    failure.code,
    failure.sentence(about, name),
    { resource: 'object', name: about.key, retryAfterSeconds: retryAfterOf(error) },
    { cause: summaryOf(error) },
  )
}

/** The failure that a code names in the middle of an answer. */
export function s3Failure(code: string, about: S3Subject): DomainError {
  const { code: own, sentence } = ofCode.get(code) ?? failures.failed
  return new DomainError(own, sentence(about, code), { resource: 'object', name: about.key })
}

function named(failure: Failure, ...codes: readonly string[]): [string, Failure][] {
  return codes.map(code => [code, failure])
}

function failureOf(error: SdkError, { key }: S3Subject): Failure {
  const { name, $metadata } = error
  const status = $metadata?.httpStatusCode
  const found =
    ofCode.get(name) ?? (status === undefined ? ofErrno.get(errnoOf(error) ?? '') : ofStatus.get(status))
  if (found === failures.noObject && key === undefined) return failures.noBucket
  return found ?? (status === undefined ? failures.silent : failures.failed)
}

/** The SDK has a name of its own for an answer that gave none. */
function nameOf({ name, $metadata }: SdkError): string {
  const status = $metadata?.httpStatusCode
  return status === undefined || !/^(Unknown|UnknownError|Error)$/.test(name) ? name : `HTTP ${status}`
}

function isSdkError(error: unknown): error is SdkError {
  return error instanceof Error
}

/** What an answer that is no S3 makes the SDK throw has the answer with it. */
function isMistake(error: SdkError): boolean {
  return (error instanceof TypeError || error instanceof RangeError) && !('$response' in error)
}

/** Without the fields that the SDK copies from the answer: the store may have repeated in them what was signed. */
function summaryOf(error: SdkError): Error {
  const status = error.$metadata?.httpStatusCode
  if (status === undefined) return error
  const id = error.$metadata?.requestId
  return new Error(
    `${error.name}: ${error.message} (HTTP ${status}${id === undefined ? '' : `, request ${id}`})`,
  )
}

/** RFC 9110, 10.2.3, as seconds; an hour at most. */
function retryAfterOf({ $response }: SdkError): number | undefined {
  const seconds = Number($response?.headers?.['retry-after'] ?? Number.NaN)
  return Number.isSafeInteger(seconds) && seconds > 0 ? Math.min(seconds, 3600) : undefined
}

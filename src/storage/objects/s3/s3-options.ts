import { type S3Profile, s3Profiles } from './s3-profile.ts'

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

export interface S3ObjectStoreOptions {
  /** It must exist; it is never made here. */
  readonly bucket: string
  /** What the store's names begin with: the object `K` is stored as `${prefix}${K}`. Empty by default. */
  readonly prefix?: string | undefined
  /** Signed with each request. `us-east-1` by default, which most other stores take for any. */
  readonly region?: string | undefined
  /** URL of the store; AWS in `region` unless given. */
  readonly endpoint?: string | undefined
  /** URL by which clients reach the store, for presigned URLs; `endpoint` unless given. */
  readonly publicEndpoint?: string | undefined
  /** Whether the bucket is in the path, not in the host's name. By default when there is an endpoint. */
  readonly pathStyle?: boolean | undefined
  /** PEM file of certificates that are trusted beside the system's. */
  readonly caFile?: string | undefined
  /** The SDK's default chain unless given: environment, profile, web identity, role of the machine. */
  readonly credentials?: S3Credentials | undefined
  /** What may be relied on without asking. `s3` by default. */
  readonly profile?: keyof typeof s3Profiles | undefined
  /** Whether bodies carry Content-MD5, which the store then checks. By profile. */
  readonly contentMd5?: boolean | undefined
  /** Milliseconds until a connection stands. 5 seconds by default. */
  readonly connectTimeoutMs?: number | undefined
  /** Milliseconds without a byte, in either direction, after which a request has failed. Half a minute by default. */
  readonly idleTimeoutMs?: number | undefined
  /**
   * The same for the end of a multipart upload, which takes some stores minutes (Amazon S3 API reference,
   * CompleteMultipartUpload). Ten minutes by default.
   */
  readonly completeTimeoutMs?: number | undefined
  /** How often a request is sent, at most. 4 by default. */
  readonly maxAttempts?: number | undefined
  /** Connections at once, at most; whoever reads an object holds one until the end. 256 by default. */
  readonly maxSockets?: number | undefined
  /** Told of each request that is sent again, with the name of its S3 operation. */
  readonly onRetry?: ((operation: string) => void) | undefined
  readonly onRequest?: S3RequestObserver | undefined
}

/**
 * Told of every HTTP request, those that are sent again too.
 *
 * @param operation name of the S3 operation, such as `PutObject`.
 * @param status of HTTP; undefined when no answer came.
 * @param seconds until the head of the answer was there.
 * @param bytes of the request's body or, of `GetObject`, those that the answer has announced.
 */
export type S3RequestObserver = (
  operation: string,
  status: number | undefined,
  seconds: number,
  bytes: number,
) => void

/** The options with their defaults. */
export interface S3Settings
  extends Pick<
    S3ObjectStoreOptions,
    'endpoint' | 'publicEndpoint' | 'caFile' | 'credentials' | 'onRetry' | 'onRequest'
  > {
  readonly bucket: string
  readonly prefix: string
  readonly region: string
  readonly pathStyle: boolean
  readonly profile: S3Profile
  readonly contentMd5: boolean
  readonly connectTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly completeTimeoutMs: number
  readonly maxAttempts: number
  readonly maxSockets: number
}

export function settingsOf(options: S3ObjectStoreOptions): S3Settings {
  const profile = s3Profiles[options.profile ?? 's3']
  return {
    ...options,
    prefix: options.prefix ?? '',
    region: options.region ?? 'us-east-1',
    pathStyle: options.pathStyle ?? options.endpoint !== undefined,
    profile,
    contentMd5: options.contentMd5 ?? profile.contentMd5,
    connectTimeoutMs: options.connectTimeoutMs ?? 5000,
    idleTimeoutMs: options.idleTimeoutMs ?? 30_000,
    completeTimeoutMs: options.completeTimeoutMs ?? 600_000,
    maxAttempts: options.maxAttempts ?? 4,
    maxSockets: options.maxSockets ?? 256,
  }
}

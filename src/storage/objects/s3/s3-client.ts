import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { getCACertificates } from 'node:tls'
import { S3Client } from '@aws-sdk/client-s3'
import { DomainError, errnoOf } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import type { CredentialChain } from './renewed-credentials.ts'
import { readingAgent, readingHttpsAgent } from './reading-agent.ts'
import type { S3Credentials, S3Settings } from './s3-options.ts'

/**
 * The certificates to trust, with the system's; undefined when there is no file of our own.
 * @throws DomainError `unavailable` when the file cannot be read, or has no certificate.
 */
export async function readTrusted(
  caFile: string | undefined,
  options?: Abortable,
): Promise<string[] | undefined> {
  if (caFile === undefined) return undefined
  const own = await readFile(caFile, { encoding: 'utf8', ...options }).catch((cause: unknown) => {
    options?.signal?.throwIfAborted()
    const why = `cannot be read (${errnoOf(cause)}); correct the setting or the permissions`
    throw untrustworthy(caFile, why, cause)
  })
  try {
    // Node takes a file without any certificate for an empty list, and says nothing.
    void new X509Certificate(own)
  } catch (cause) {
    throw untrustworthy(caFile, 'are none; storage.s3.caFile has to be a file of certificates in PEM', cause)
  }
  return [...getCACertificates('default'), own]
}

function untrustworthy(caFile: string, why: string, cause: unknown): DomainError {
  return new DomainError(
    'unavailable',
    `The certificates in ${caFile} ${why}.`,
    { resource: 'config', name: caFile },
    { cause },
  )
}

/**
 * A client of the SDK that sends what every store understands. It retries by the SDK's standard rules: with jitter,
 * and no more when a budget for the whole client is used up, so that an outage does not multiply the requests. (The
 * adaptive ones go on limiting the rate, to one request in two seconds at worst, long after a store was busy once.)
 *
 * @param chain where credentials come from that are not in the settings; one for all clients of a store.
 */
export function createS3Client(
  settings: S3Settings,
  endpoint: string | undefined,
  ca: string[] | undefined,
  chain: CredentialChain,
): S3Client {
  const { credentials: given, maxSockets } = settings
  const agent = { keepAlive: true, maxSockets }
  const client = new S3Client({
    region: settings.region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(given === undefined ? chain.options : { credentials: credentialsOf(given) }),
    forcePathStyle: settings.pathStyle,
    // The checksums that newer SDKs add are refused by some stores and ignored by others; what is signed is a hash of
    // the whole body anyway.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // A round trip more for each put, and a connection that is not used again.
    expectContinueHeader: false,
    retryMode: 'standard',
    maxAttempts: settings.maxAttempts,
    requestHandler: {
      connectionTimeout: settings.connectTimeoutMs,
      socketTimeout: settings.idleTimeoutMs,
      httpAgent: readingAgent(agent),
      httpsAgent: readingHttpsAgent(ca === undefined ? agent : { ...agent, ca }),
      logger: quiet,
    },
  })
  if (given === undefined) chain.attach(client)
  if (settings.contentMd5) addContentMd5(client)
  observe(client, settings)
  return client
}

/** The SDK tells a token that is undefined from none. */
function credentialsOf({ accessKeyId, secretAccessKey, sessionToken }: S3Credentials) {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
}

/** The SDK would write to the console. */
const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {} }

interface SentRequest {
  readonly headers: Record<string, string>
  readonly body?: Uint8Array | string | undefined
}

function isSentRequest(request: unknown): request is SentRequest {
  return typeof request === 'object' && request !== null && 'headers' in request
}

/** Of listings and the like, too: what has a body is small or was hashed for its signature anyway. */
function addContentMd5(client: S3Client): void {
  client.middlewareStack.add(
    next => args => {
      const { request } = args
      if (isSentRequest(request) && request.body !== undefined)
        request.headers['content-md5'] = createHash('md5').update(request.body).digest('base64')
      return next(args)
    },
    { step: 'build', name: 'varveContentMd5' },
  )
}

/** Below the SDK's own retrying, so that each attempt is seen. */
function observe(client: S3Client, { onRequest, onRetry }: S3Settings): void {
  if (onRequest === undefined && onRetry === undefined) return
  client.middlewareStack.add(
    (next, { commandName = 'Unknown' }) =>
      async args => {
        const operation = commandName.replace(/Command$/, '')
        const { request } = args
        if (isSentRequest(request) && /^attempt=(?!1;)/.test(request.headers['amz-sdk-request'] ?? ''))
          onRetry?.(operation)
        const startedAt = performance.now()
        const answered = (status?: number, received = 0): void => {
          const sent = isSentRequest(request) ? Buffer.byteLength(request.body ?? '') : 0
          onRequest?.(operation, status, (performance.now() - startedAt) / 1000, sent + received)
        }
        try {
          const result = await next(args)
          answered(...answerOf(operation, result.response))
          return result
        } catch (error) {
          answered()
          throw error
        }
      },
    { step: 'deserialize', priority: 'low', name: 'varveObserve' },
  )
}

function answerOf(operation: string, response: unknown): [status?: number, bytes?: number] {
  if (typeof response !== 'object' || response === null || !('statusCode' in response)) return []
  const status = Number(response.statusCode)
  if (operation !== 'GetObject' || !isSentRequest(response)) return [status]
  return [status, Number(response.headers['content-length'] ?? 0)]
}

import type { S3Client } from '@aws-sdk/client-s3'

/** So that a store which refuses everything costs a look at files and services every few seconds, not at each request. */
const betweenRenewalsMs = 5000

/** What stores say of an access key that they do not know, or of a token whose time is over. */
const refusals: ReadonlySet<string> = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidToken',
  'InvalidTokenId',
  'TokenRefreshRequired',
])

/**
 * Asks the SDK's chain once more when the store refuses what it gave, and sends the request again when the chain has
 * something else by now. By itself the SDK keeps whatever does not say when it expires for as long as the process lives,
 * such as what a file had at first, though others may have written new credentials there.
 */
export function renewCredentials(client: S3Client): void {
  let renewedAt = -Infinity
  let renewal: Promise<boolean> = Promise.resolve(false)
  client.middlewareStack.add(
    next => async args => {
      try {
        return await next(args)
      } catch (error) {
        if (!isRefusal(error)) throw error
        if (performance.now() - renewedAt > betweenRenewalsMs) {
          renewedAt = performance.now()
          renewal = haveChanged(client)
        }
        // Whoever was refused meanwhile had the old ones as well.
        if (!(await renewal.catch(() => false))) throw error
        return await next(args)
      }
    },
    { step: 'initialize', name: 'varveRenewCredentials' },
  )
}

async function haveChanged({ config }: S3Client): Promise<boolean> {
  const before = await config.credentials()
  const { accessKeyId, secretAccessKey, sessionToken } = await config.credentials({ forceRefresh: true })
  return (
    accessKeyId !== before.accessKeyId ||
    secretAccessKey !== before.secretAccessKey ||
    sessionToken !== before.sessionToken
  )
}

/** The answer to a HEAD has no code. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (refusals.has(error.name)) return true
  const status = '$metadata' in error ? Object(error.$metadata).httpStatusCode : undefined
  return (
    (status === 403 || status === 400) &&
    /^(?:Unknown|UnknownError|Error|403|400|Forbidden|BadRequest)$/.test(error.name)
  )
}

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

type Provider = S3Client['config']['credentials']
type Keys = Awaited<ReturnType<Provider>>

/**
 * The SDK's chain, for all clients of one store: it is asked once for all of them, and once more when the store refuses
 * what it gave. A refused request is sent again when the chain has something else by now. By itself the SDK keeps whatever
 * does not say when it expires for as long as the process lives, such as what a file had at first, though others may have
 * written new credentials there.
 */
export class CredentialChain {
  #provider: Provider | undefined
  #renewedAt = -Infinity
  #renewal: Promise<void> = Promise.resolve()

  /** What a client is made with. */
  get options(): object {
    // The second is handed on to the chain: files are read again when it is asked again.
    return this.#provider === undefined ? { ignoreCache: true } : { credentials: this.#provider }
  }

  /** @param client made with {@link options}. */
  attach(client: S3Client): void {
    this.#provider ??= client.config.credentials
    const provider = this.#provider
    client.middlewareStack.add(
      next => async args => {
        const sentWith = await provider().catch(() => undefined)
        try {
          return await next(args)
        } catch (error) {
          if (!isRefusal(error)) throw error
          await this.#renew(provider)
          const now = await provider().catch(() => undefined)
          if (now === undefined || (sentWith !== undefined && areSame(now, sentWith))) throw error
          return await next(args)
        }
      },
      { step: 'initialize', name: 'varveRenewCredentials' },
    )
  }

  /** What fails leaves the old ones. */
  #renew(provider: Provider): Promise<void> {
    if (performance.now() - this.#renewedAt > betweenRenewalsMs) {
      this.#renewedAt = performance.now()
      this.#renewal = provider({ forceRefresh: true }).then(
        () => {},
        () => {},
      )
    }
    return this.#renewal
  }
}

function areSame(one: Keys, other: Keys): boolean {
  return (
    one.accessKeyId === other.accessKeyId &&
    one.secretAccessKey === other.secretAccessKey &&
    one.sessionToken === other.sessionToken
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

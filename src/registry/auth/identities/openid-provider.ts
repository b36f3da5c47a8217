import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import { isDomainError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { Identity } from '../identity.ts'
import { type Claims, claimedBy } from './claims.ts'
import {
  defaultDocumentTimes,
  type DocumentTimes,
  ProviderDocumentCache,
  type ProviderDocuments,
  type ProviderMetadata,
} from './provider-documents.ts'
import type { OpenIdProviderOptions } from './provider-options.ts'
import { ProviderTransport } from './provider-transport.ts'

/** Only with keys of which the public half is known: nothing that we know could make a token. */
const algorithms: NonNullable<JWTVerifyOptions['algorithms']> = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
]

/** Seconds by which clocks may differ. */
const clockTolerance = 30

export interface OpenIdProviderParts {
  readonly log: Logger
  /** Names of accounts that may do everything. */
  readonly admins: readonly string[]
  readonly times?: DocumentTimes | undefined
  /** See {@link ProviderDocumentCache}. */
  readonly now?: (() => number) | undefined
  readonly timeoutMs?: number | undefined
}

/** Takes the tokens of one OpenID provider: of workloads that it vouches for, and of people who come back from it. */
export class OpenIdProvider implements AsyncDisposable {
  readonly options: OpenIdProviderOptions
  readonly transport: ProviderTransport
  readonly #log: Logger
  readonly #admins: ReadonlySet<string>
  readonly #documents: ProviderDocumentCache

  constructor(options: OpenIdProviderOptions, parts: OpenIdProviderParts) {
    const { name, ca, issuer } = options
    this.options = options
    this.transport = new ProviderTransport({ name, ca, timeoutMs: parts.timeoutMs })
    this.#log = parts.log
    this.#admins = new Set(parts.admins)
    this.#documents = new ProviderDocumentCache(
      issuer,
      this.transport,
      parts.times ?? defaultDocumentTimes,
      parts.now,
    )
  }

  /** @throws DomainError `unavailable`. */
  async metadata(options?: Abortable): Promise<ProviderMetadata> {
    return (await this.#documents.get(options)).metadata
  }

  /**
   * Undefined when the token is none that counts; why, the log says.
   * @param audiences one of them has to be in `aud`; those of the configuration unless given.
   * @throws DomainError `unavailable`.
   */
  async verify(
    token: string,
    options: Abortable & { readonly audiences?: readonly string[] } = {},
  ): Promise<Identity | undefined> {
    const claims = await this.#claimsOf(token, options.audiences ?? this.options.audiences, options)
    return claims === undefined ? undefined : this.#identityOf(claims)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport[Symbol.asyncDispose]()
  }

  #identityOf(claims: Claims): Identity | undefined {
    const claimed = claimedBy(claims, this.options)
    if ('problem' in claimed) {
      this.#refuse(claimed.problem)
      return undefined
    }
    const { account, memberships } = claimed
    return {
      account,
      isAdmin: this.#admins.has(account),
      credential: `oidc:${this.options.name}`,
      scopes: null,
      memberships,
      stamp: null,
    }
  }

  async #claimsOf(
    token: string,
    audiences: readonly string[],
    options: Abortable,
  ): Promise<JWTPayload | undefined> {
    const documents = await this.#documents.get(options)
    try {
      try {
        return await this.#check(token, audiences, documents)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
        const newer = await this.#documents.getNewer(options)
        if (newer === undefined) throw error
        return await this.#check(token, audiences, newer)
      }
    } catch (error) {
      options.signal?.throwIfAborted()
      if (isDomainError(error)) throw error
      this.#refuse(reasonOf(error))
      return undefined
    }
  }

  async #check(
    token: string,
    audiences: readonly string[],
    { keys }: ProviderDocuments,
  ): Promise<JWTPayload> {
    const { payload } = await jwtVerify(token, keys, {
      issuer: this.options.issuer,
      audience: [...audiences],
      algorithms,
      clockTolerance,
      requiredClaims: ['exp'],
    })
    return payload
  }

  /** The client is told nothing but that it is wrong; whoever sets this up has to find out why. */
  #refuse(reason: string): void {
    this.#log.info({ provider: this.options.name, reason }, 'token of an OpenID provider refused')
  }
}

/** Without what the token says: only names of claims. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'it has expired'
  if (error instanceof errors.JWTClaimValidationFailed) return `its claim ${error.claim} is wrong or absent`
  if (error instanceof errors.JOSEError) return error.code
  // Of a key that is too short, or none at all: its provider has published it.
  return `its key cannot be used (${error instanceof Error ? error.name : 'unknown'})`
}

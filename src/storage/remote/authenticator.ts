import { LRUCache } from 'lru-cache'
import { DomainError } from '../../errors.ts'
import { type Abortable, orAbort } from '../abortable.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import type { Credentials, PasswordCredentials } from './credentials/credentials.ts'
import type { RegistryDocument, RegistryTransport } from './registry-transport.ts'
import { retryAfterMsOf } from './retry-after.ts'
import {
  type AccessToken,
  mayAsk,
  refreshFormOf,
  type TokenRequest,
  tokenIn,
  tokenRequestOf,
  tokenUrlOf,
} from './token.ts'

export interface AuthenticatorParts {
  /** `host[:port]`. */
  readonly registry: string
  readonly base: URL
  readonly transport: RegistryTransport
  readonly credentials: Credentials | undefined
  /** Milliseconds of a clock that never goes back. */
  readonly now?: (() => number) | undefined
}

/** What a repository is asked with. */
interface Authorization {
  readonly header: string
  /** When it is time for another, by our clock; never for what does not run out. */
  readonly renewAt: number
  /** By which to get another. */
  readonly challenge: Challenge
}

/** A token service's answer is small; more is not read. Bytes. */
const maxAnswerBytes = 64 * 1024
/** Sets of scopes whose tokens are kept. */
const maxScopeSets = 1000
/** A token is renewed before it runs out, for a request takes time on its way. */
const marginMs = 30_000

/**
 * What may be done with what, as the token protocol writes it (distribution, "Token Scope Documentation"):
 * `repository:team/app:pull,push`. Empty for what takes no more than being known.
 */
export type Scopes = readonly string[]

/**
 * Authenticates one user, or nobody, to one registry. Tokens are bound to their scopes, so there is one for each set of
 * them; they are never shared with another user's authenticator.
 */
export class Authenticator {
  readonly #registry: string
  readonly #base: URL
  readonly #transport: RegistryTransport
  readonly #credentials: Credentials | undefined
  readonly #now: () => number
  readonly #known = new LRUCache<string, Authorization>({ max: maxScopeSets })
  /** Holds for all scopes: there is nothing else that a registry could want from the user that wants it at all. */
  #basic: string | undefined
  /** What is being asked for, so that many layers ask once. */
  readonly #asking = new Map<string, Promise<Authorization | undefined>>()

  constructor({ registry, base, transport, credentials, now }: AuthenticatorParts) {
    this.#registry = registry
    this.#base = base
    this.#transport = transport
    this.#credentials = credentials
    this.#now = now ?? (() => performance.now())
  }

  /** The `Authorization` to begin with; undefined until the registry has asked for one. */
  async begin(scopes: Scopes, options: Abortable): Promise<string | undefined> {
    if (this.#credentials?.kind === 'registry-token') return `Bearer ${this.#credentials.token}`
    const known = this.#known.get(keyOf(scopes))
    if (known === undefined) return this.#basic
    if (known.renewAt > this.#now()) return known.header
    return (await this.#ask([known.challenge], scopes, options))?.header
  }

  /**
   * The `Authorization` to try after a 401.
   * @param refused what the registry has refused, if anything was sent.
   * @returns undefined when there is nothing that would do.
   * @throws DomainError `unavailable` of the token service, `unsupported` for one that is not asked.
   */
  async renew(
    scopes: Scopes,
    authenticate: string | undefined,
    refused: string | undefined,
    options: Abortable,
  ): Promise<string | undefined> {
    // What does not run out is not accepted later either.
    if (this.#credentials?.kind === 'registry-token') return undefined
    const challenges = parseChallenges(authenticate ?? '')
    const wantsToken = challenges.some(({ scheme }) => scheme === 'bearer')
    if (refused?.startsWith('Basic ') && !wantsToken) return undefined
    // Another request was refused before this one, and has it already.
    const known = this.#known.get(keyOf(scopes))?.header
    if (known !== undefined && known !== refused) return known
    return (await this.#ask(challenges, scopes, options))?.header
  }

  async #ask(
    challenges: readonly Challenge[],
    scopes: Scopes,
    { signal }: Abortable,
  ): Promise<Authorization | undefined> {
    const key = keyOf(scopes)
    let asking = this.#asking.get(key)
    if (asking === undefined) {
      // Not ended by who began it: others may wait for it by then. The transport's patience ends it.
      asking = this.#answer(challenges, scopes).finally(() => this.#asking.delete(key))
      asking.catch(() => {})
      this.#asking.set(key, asking)
    }
    return await orAbort(asking, signal)
  }

  async #answer(challenges: readonly Challenge[], scopes: Scopes): Promise<Authorization | undefined> {
    const authorization = await this.#authorizationFor(challenges, scopes)
    if (authorization === undefined) this.#known.delete(keyOf(scopes))
    else this.#known.set(keyOf(scopes), authorization)
    return authorization
  }

  async #authorizationFor(
    challenges: readonly Challenge[],
    scopes: Scopes,
  ): Promise<Authorization | undefined> {
    const [bearer, basic] = ['bearer', 'basic'].map(name => challenges.find(({ scheme }) => scheme === name))
    if (bearer !== undefined) {
      const askedAt = this.#now()
      const got = await this.#fetchToken(bearer, scopes)
      if (got === undefined) return undefined
      const renewAt = askedAt + got.lifetimeMs - Math.min(marginMs, got.lifetimeMs / 4)
      return { header: `Bearer ${got.token}`, renewAt, challenge: bearer }
    }
    if (basic === undefined || this.#credentials?.kind !== 'password') return undefined
    this.#basic = basicOf(this.#credentials)
    return { header: this.#basic, renewAt: Number.POSITIVE_INFINITY, challenge: basic }
  }

  async #fetchToken(challenge: Challenge, scopes: Scopes): Promise<AccessToken | undefined> {
    const request = tokenRequestOf(challenge, scopes)
    if (request === undefined) return undefined
    if (!mayAsk(request.realm, this.#base)) throw this.#unprotected(request.realm)
    const answer = await this.#send(request)
    const { status, bytes } = answer
    if (status === 429 || status >= 500)
      throw this.#unavailable(request.realm, `answered ${status}`, answer.header('retry-after'))
    if (status >= 400) return undefined
    const token = tokenIn(bytes)
    if (token === undefined) throw this.#unavailable(request.realm, 'sent no token')
    return token
  }

  async #send(request: TokenRequest): Promise<RegistryDocument> {
    const { realm } = request
    const asked = { registry: this.#base, what: 'token' } as const
    const credentials = this.#credentials
    if (credentials?.kind === 'identity-token') {
      // The form is a secret, so no redirect is followed.
      const body = refreshFormOf(request, credentials.token).toString()
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      return await this.#transport.read(
        { ...asked, method: 'POST', url: realm, headers, body },
        maxAnswerBytes,
      )
    }
    const headers: Record<string, string> =
      credentials?.kind === 'password' ? { authorization: basicOf(credentials) } : {}
    const url = tokenUrlOf(request)
    return await this.#transport.read({ ...asked, url, headers, follow: true }, maxAnswerBytes)
  }

  #unprotected(realm: URL): DomainError {
    return new DomainError(
      'unsupported',
      `The registry ${this.#registry} wants tokens from ${realm.origin}, which is not encrypted and is not asked.`,
      { resource: 'registry', name: this.#registry },
    )
  }

  #unavailable(realm: URL, what: string, retryAfter?: string): DomainError {
    const waitMs = retryAfterMsOf(retryAfter)
    return new DomainError(
      'unavailable',
      `The token service ${realm.origin} of the registry ${this.#registry} ${what}; try again later.`,
      {
        resource: 'registry',
        name: this.#registry,
        retryAfterSeconds: waitMs === undefined ? undefined : Math.ceil(waitMs / 1000),
      },
    )
  }
}

function keyOf(scopes: Scopes): string {
  return scopes.join(' ')
}

function basicOf({ username, password }: PasswordCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

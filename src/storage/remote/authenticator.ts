import { LRUCache } from 'lru-cache'
import { DomainError } from '../../errors.ts'
import { type Abortable, orAbort } from '../abortable.ts'
import type { RepositoryName } from '../reference.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import type { Credentials, PasswordCredentials } from './credentials/credentials.ts'
import type { RegistryDocument, RegistryTransport } from './registry-transport.ts'
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
/** Repositories whose tokens are kept. */
const maxRepositories = 1000
/** A token is renewed before it runs out, for a request takes time on its way. */
const marginMs = 30_000

/**
 * Authenticates one user, or nobody, to one registry. Tokens are bound to their scope, so there is one per repository;
 * they are never shared with another user's authenticator.
 */
export class Authenticator {
  readonly #registry: string
  readonly #base: URL
  readonly #transport: RegistryTransport
  readonly #credentials: Credentials | undefined
  readonly #now: () => number
  readonly #known = new LRUCache<RepositoryName, Authorization>({ max: maxRepositories })
  /** What is being asked for, so that many layers ask once. */
  readonly #asking = new Map<RepositoryName, Promise<Authorization | undefined>>()

  constructor({ registry, base, transport, credentials, now }: AuthenticatorParts) {
    this.#registry = registry
    this.#base = base
    this.#transport = transport
    this.#credentials = credentials
    this.#now = now ?? (() => performance.now())
  }

  /** The `Authorization` to begin with; undefined until the registry has asked for one. */
  async begin(repository: RepositoryName, options: Abortable): Promise<string | undefined> {
    if (this.#credentials?.kind === 'registry-token') return `Bearer ${this.#credentials.token}`
    const known = this.#known.get(repository)
    if (known === undefined || known.renewAt > this.#now()) return known?.header
    return (await this.#ask([known.challenge], repository, options))?.header
  }

  /**
   * The `Authorization` to try after a 401.
   * @param refused what the registry has refused, if anything was sent.
   * @returns undefined when there is nothing that would do.
   * @throws DomainError `unavailable` of the token service, `unsupported` for one that is not asked.
   */
  async renew(
    repository: RepositoryName,
    authenticate: string | undefined,
    refused: string | undefined,
    options: Abortable,
  ): Promise<string | undefined> {
    // What does not run out is not accepted later either.
    if (this.#credentials?.kind === 'registry-token' || refused?.startsWith('Basic ')) return undefined
    // Another request was refused before this one, and has it already.
    const known = this.#known.get(repository)?.header
    if (known !== undefined && known !== refused) return known
    return (await this.#ask(parseChallenges(authenticate ?? ''), repository, options))?.header
  }

  async #ask(
    challenges: readonly Challenge[],
    repository: RepositoryName,
    { signal }: Abortable,
  ): Promise<Authorization | undefined> {
    let asking = this.#asking.get(repository)
    if (asking === undefined) {
      // Not ended by who began it: others may wait for it by then. The transport's patience ends it.
      asking = this.#answer(challenges, repository).finally(() => this.#asking.delete(repository))
      asking.catch(() => {})
      this.#asking.set(repository, asking)
    }
    return await orAbort(asking, signal)
  }

  async #answer(
    challenges: readonly Challenge[],
    repository: RepositoryName,
  ): Promise<Authorization | undefined> {
    const authorization = await this.#authorizationFor(challenges, repository)
    if (authorization === undefined) this.#known.delete(repository)
    else this.#known.set(repository, authorization)
    return authorization
  }

  async #authorizationFor(
    challenges: readonly Challenge[],
    repository: RepositoryName,
  ): Promise<Authorization | undefined> {
    const [bearer, basic] = ['bearer', 'basic'].map(name => challenges.find(({ scheme }) => scheme === name))
    if (bearer !== undefined) {
      const askedAt = this.#now()
      const got = await this.#fetchToken(bearer, repository)
      if (got === undefined) return undefined
      const renewAt = askedAt + got.lifetimeMs - Math.min(marginMs, got.lifetimeMs / 4)
      return { header: `Bearer ${got.token}`, renewAt, challenge: bearer }
    }
    if (basic === undefined || this.#credentials?.kind !== 'password') return undefined
    return { header: basicOf(this.#credentials), renewAt: Number.POSITIVE_INFINITY, challenge: basic }
  }

  async #fetchToken(challenge: Challenge, repository: RepositoryName): Promise<AccessToken | undefined> {
    const request = tokenRequestOf(challenge, repository)
    if (request === undefined) return undefined
    if (!mayAsk(request.realm, this.#base)) throw this.#unprotected(request.realm)
    const { status, bytes } = await this.#send(request)
    if (status === 429 || status >= 500) throw this.#unavailable(request.realm, `answered ${status}`)
    if (status >= 400) return undefined
    const token = tokenIn(bytes)
    if (token === undefined) throw this.#unavailable(request.realm, 'sent no token')
    return token
  }

  async #send(request: TokenRequest): Promise<RegistryDocument> {
    const options = { limit: maxAnswerBytes }
    const credentials = this.#credentials
    if (credentials?.kind === 'identity-token')
      return await this.#transport.postForm(request.realm, refreshFormOf(request, credentials.token), options)
    const headers: Record<string, string> =
      credentials?.kind === 'password' ? { authorization: basicOf(credentials) } : {}
    return await this.#transport.getDocument(tokenUrlOf(request), headers, options)
  }

  #unprotected(realm: URL): DomainError {
    return new DomainError(
      'unsupported',
      `The registry ${this.#registry} wants tokens from ${realm.origin}, which is not encrypted and is not asked.`,
      { resource: 'registry', name: this.#registry },
    )
  }

  #unavailable(realm: URL, what: string): DomainError {
    return new DomainError(
      'unavailable',
      `The token service ${realm.origin} of the registry ${this.#registry} ${what}; try again later.`,
      { resource: 'registry', name: this.#registry },
    )
  }
}

function basicOf({ username, password }: PasswordCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

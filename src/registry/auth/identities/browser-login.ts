import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { dayMs } from '../../../storage/durations.ts'
import type { CredentialRecords } from '../../../storage/metadata/account-records.ts'
import type { Identity } from '../identity.ts'
import { makeAccountToken } from './account-token.ts'
import { clientConfiguration } from './client-configuration.ts'
import { LoginCookie, type PendingLogin } from './login-cookie.ts'
import type { OpenIdProvider } from './openid-provider.ts'
import type { OpenIdClient } from './provider-options.ts'

export interface BrowserLoginOptions {
  /** Those with a client. */
  readonly providers: readonly OpenIdProvider[]
  readonly credentials: Pick<CredentialRecords, 'addCredential'>
  readonly log: Logger
  /** 32 bytes, the same for all replicas. */
  readonly secret: Uint8Array
  /** How long the tokens that are given are good; 30 unless given. */
  readonly tokenDays?: number | undefined
}

export interface StartedLogin {
  /** At the provider. */
  readonly location: URL
  /** Value of `Set-Cookie`. */
  readonly cookie: string
}

export interface FinishedLogin {
  readonly identity: Identity
  /** Of the API token; shown this once. */
  readonly token: string
  readonly tokenId: string
  readonly expiresAt: Date
  /** Value of `Set-Cookie`. */
  readonly cookie: string
}

/**
 * Lets people prove by a browser who they are at an OpenID provider, and gives them an API token for docker: the
 * authorization code flow (OpenID Connect Core 1.0, 3.1) with PKCE (RFC 7636), state and nonce.
 */
export class BrowserLogin {
  readonly #providers: ReadonlyMap<string, OpenIdProvider>
  readonly #credentials: Pick<CredentialRecords, 'addCredential'>
  readonly #log: Logger
  readonly #cookie: LoginCookie
  readonly #tokenDays: number

  constructor({ providers, credentials, log, secret, tokenDays = 30 }: BrowserLoginOptions) {
    this.#providers = new Map(providers.map(provider => [provider.options.name, provider]))
    this.#credentials = credentials
    this.#log = log
    this.#cookie = new LoginCookie(secret)
    this.#tokenDays = tokenDays
  }

  /**
   * @param callback URL of the page that the provider sends the browser back to.
   * @throws DomainError `not_found` for a provider that is not known; `unavailable`.
   */
  async start(name: string, callback: URL, options: Abortable = {}): Promise<StartedLogin> {
    const { provider, client } = this.#find(name)
    const configuration = clientConfiguration(provider, client, await provider.metadata(options), options)
    const codeVerifier = randomPKCECodeVerifier()
    const login: PendingLogin = {
      provider: name,
      state: randomState(),
      nonce: randomNonce(),
      codeVerifier,
      callback: callback.href,
    }
    const location = buildAuthorizationUrl(configuration, {
      redirect_uri: callback.href,
      scope: [...new Set(['openid', ...client.scopes])].join(' '),
      state: login.state,
      nonce: login.nonce,
      code_challenge: await calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
    })
    return { location, cookie: await this.#cookie.seal(login) }
  }

  /**
   * @param query of the request that the provider has sent the browser with.
   * @param cookies its header `Cookie`.
   * @throws DomainError `not_found`, `unavailable`; `denied` when this is not the end of a login that this browser has
   * begun, or the provider does not vouch for anybody who may come in.
   */
  async finish(
    name: string,
    query: URLSearchParams,
    cookies: string | undefined,
    options: Abortable = {},
  ): Promise<FinishedLogin> {
    const { provider, client } = this.#find(name)
    const login = await this.#cookie.open(cookies)
    if (login === undefined || login.provider !== name)
      throw refused('no login was begun by this browser in the last ten minutes; begin it again')
    const idToken = await this.#redeem(provider, client, login, query, options)
    const identity = await provider.verify(idToken, { ...options, audiences: [client.clientId] })
    if (identity === undefined) throw refused(`${name} does not say what is required of you here`)
    const given = await this.#giveToken(identity, options)
    return { identity, ...given, cookie: this.#cookie.clear(login.callback) }
  }

  #find(name: string): { readonly provider: OpenIdProvider; readonly client: OpenIdClient } {
    const provider = this.#providers.get(name)
    const client = provider?.options.client
    if (provider === undefined || client === undefined)
      throw new DomainError('not_found', 'There is no such way to log in here.', { resource: 'request' })
    return { provider, client }
  }

  /** @returns the ID token, whose signature nobody has looked at yet. */
  async #redeem(
    provider: OpenIdProvider,
    client: OpenIdClient,
    login: PendingLogin,
    query: URLSearchParams,
    options: Abortable,
  ): Promise<string> {
    const configuration = clientConfiguration(provider, client, await provider.metadata(options), options)
    const answer = new URL(login.callback)
    answer.search = query.toString()
    try {
      const tokens = await authorizationCodeGrant(configuration, answer, {
        pkceCodeVerifier: login.codeVerifier,
        expectedState: login.state,
        expectedNonce: login.nonce,
        idTokenExpected: true,
      })
      if (tokens.id_token === undefined) throw new Error('no ID token')
      return tokens.id_token
    } catch (error) {
      options.signal?.throwIfAborted()
      const cause = causeOf(error)
      if (cause !== undefined) throw cause
      // Its message may quote what the provider, or whoever made the query, has said.
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
      this.#log.info({ provider: provider.options.name, reason: code }, 'browser login refused')
      throw refused(`${provider.options.name} did not let you in, or it took too long; begin it again`)
    }
  }

  async #giveToken(
    { account, memberships }: Identity,
    options: Abortable,
  ): Promise<Pick<FinishedLogin, 'token' | 'tokenId' | 'expiresAt'>> {
    const { id, text, secretDigest } = makeAccountToken('token')
    const expiresAt = new Date(Date.now() + this.#tokenDays * dayMs)
    await this.#credentials.addCredential(
      { id, kind: 'token', account, secretDigest, description: 'browser login', expiresAt, memberships },
      options,
    )
    this.#log.info({ account, token: id }, 'API token given after a browser login')
    return { token: text, tokenId: id, expiresAt }
  }
}

/** Of a failure of ours that openid-client has wrapped. */
function causeOf(error: unknown): DomainError | undefined {
  if (isDomainError(error)) return error
  return error instanceof Error && error.cause !== undefined ? causeOf(error.cause) : undefined
}

function refused(why: string): DomainError {
  return new DomainError('denied', `You are not logged in: ${why}.`, {
    resource: 'account',
    rule: 'browser login',
  })
}

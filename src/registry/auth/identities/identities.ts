import { type Abortable, orAbort } from '../../../storage/abortable.ts'
import { type AccountName, accountKindOf } from '../../../storage/accounts/names.ts'
import type { Identity, IdentityProvider, Login } from '../identity.ts'
import { looksLikeAccountToken } from './account-token.ts'
import type { ApiTokens } from './api-tokens.ts'
import type { KnownAccounts } from './known-accounts.ts'
import type { LoginDelay } from './login-delay.ts'
import { looksLikeJwt, type OpenIdTokens } from './openid-tokens.ts'
import type { PasswordAccounts } from './password-accounts.ts'
import type { LoginKey, RightLogins } from './right-logins.ts'
import type { UseLog } from './use-notes.ts'

export interface IdentitiesOptions {
  readonly accounts: KnownAccounts
  readonly tokens: ApiTokens
  readonly openId: OpenIdTokens
  readonly passwords: PasswordAccounts
  readonly rightLogins: RightLogins
  readonly delay: LoginDelay
  readonly uses: UseLog
}

/**
 * Everybody that this registry knows. What a password is, is told by its form: an API token by its prefix, the token of
 * an OpenID provider by being a JWT, and all else is a password; so one login is never tried at two places.
 */
export class Identities implements IdentityProvider {
  readonly #options: IdentitiesOptions
  /** Of identities that a password has proved. */
  readonly #loginKeys = new WeakMap<Identity, LoginKey>()
  /** Logins that are being looked at: the same one many times at once is one. */
  readonly #flights = new Map<string, Promise<Identity | undefined>>()

  constructor(options: IdentitiesOptions) {
    this.#options = options
  }

  async verify(login: Login, options: Abortable = {}): Promise<Identity | undefined> {
    options.signal?.throwIfAborted()
    const { username, password } = login
    if (username === '' || password === '') return undefined
    const { tokens, openId } = this.#options
    if (looksLikeAccountToken(password)) return await tokens.verify(login, options)
    if (looksLikeJwt(password)) return await openId.verify(login, options)
    return await this.#verifyPassword(login, options)
  }

  /** What came as `Authorization: Bearer`, where no name comes with it: an API token, or a token of an OpenID provider. */
  async verifyBearer(text: string, options: Abortable = {}): Promise<Identity | undefined> {
    options.signal?.throwIfAborted()
    const { tokens, openId } = this.#options
    return looksLikeJwt(text)
      ? await openId.verifyToken(text, options)
      : await tokens.verifyToken(text, options)
  }

  async renew(account: AccountName, stamp: string, options: Abortable = {}): Promise<Identity | undefined> {
    const { tokens, passwords } = this.#options
    return (await tokens.renew(account, stamp, options)) ?? (await passwords.renew(account, stamp, options))
  }

  repeat(identity: Identity): boolean {
    const { tokens, rightLogins } = this.#options
    if (identity.unchangedUntil === undefined || identity.unchangedUntil <= Date.now()) return false
    const key = this.#loginKeys.get(identity)
    if (key === undefined) return tokens.repeat(identity)
    // After a while it has to be found out again that the password is right.
    if (rightLogins.find(key) === undefined) return false
    this.#noteUse(identity)
    return true
  }

  /**
   * Whoever has a certificate of this account, which the connection has proved. A user or a robot has to be known here,
   * and enabled. A workload (`example.org/ci`, by its SPIFFE ID) need not be: the certificate's authority vouches for it,
   * as an OpenID provider does for its own, except for names that are such a provider's. Undefined for all others.
   */
  async identityOfCertificate(name: AccountName, options: Abortable = {}): Promise<Identity | undefined> {
    const account = await this.#options.accounts.find(name, options)
    const isWorkload = accountKindOf(name) === 'federated'
    if (isWorkload ? account !== undefined : account?.isActive !== true) return undefined
    return {
      account: name,
      isAdmin: account?.isAdmin ?? false,
      credential: 'certificate',
      scopes: null,
      memberships: [],
      stamp: null,
    }
  }

  async #verifyPassword(login: Login, { signal }: Abortable): Promise<Identity | undefined> {
    const { rightLogins } = this.#options
    const key = rightLogins.keyOf(login)
    const identity =
      (await this.#stillRight(rightLogins.find(key), { signal })) ??
      (await orAbort(this.#fly(key, login), signal))
    if (identity === undefined) return undefined
    this.#loginKeys.set(identity, key)
    this.#noteUse(identity)
    return identity
  }

  #noteUse({ account }: Identity): void {
    this.#options.uses.note({ account, at: new Date() })
  }

  /** That the password was right is remembered, but not what its account is: another process may have changed that. */
  async #stillRight(known: Identity | undefined, options: Abortable): Promise<Identity | undefined> {
    if (known === undefined || known.stamp === null) return undefined
    return await this.#options.passwords.renew(known.account, known.stamp, options)
  }

  /** It goes on when its caller goes away: who waits with it, or comes again, has its outcome. */
  #fly(key: LoginKey, login: Login): Promise<Identity | undefined> {
    const place = `${key} ${login.address}`
    const running = this.#flights.get(place)
    if (running !== undefined) return running
    const flight = this.#check(key, login).finally(() => this.#flights.delete(place))
    // The caller may have gone when it fails.
    flight.catch(() => {})
    this.#flights.set(place, flight)
    return flight
  }

  async #check(key: LoginKey, login: Login): Promise<Identity | undefined> {
    const { passwords, rightLogins, delay } = this.#options
    const attempt = delay.begin(login.username, login.address)
    let identity: Identity | undefined
    try {
      identity = await passwords.verify(login)
    } catch (error) {
      attempt.abandoned()
      throw error
    }
    if (identity === undefined) attempt.failed()
    else {
      attempt.succeeded()
      rightLogins.keep(key, identity)
    }
    return identity
  }
}

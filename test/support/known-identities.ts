import { DomainError } from '../../src/errors.ts'
import type { Identity, IdentityProvider, Login } from '../../src/registry/auth/identity.ts'
import { parseAccountName } from '../../src/storage/accounts/names.ts'
import { testSecret } from './test-secrets.ts'

/** Somebody with the password {@link passwordOf}. */
export function identityOf(name: string, more: Partial<Identity> = {}): Identity {
  return {
    account: parseAccountName(name),
    isAdmin: false,
    credential: 'password',
    scopes: null,
    memberships: [],
    stamp: `stamp of ${name}`,
    ...more,
  }
}

export function passwordOf(name: string): string {
  return testSecret(name)
}

/** `Authorization` of somebody. */
export function basic(name: string, password: string = passwordOf(name)): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
}

/** Knows these, and has no patience with whoever logs in as `impatient`. */
export class KnownIdentities implements IdentityProvider {
  readonly #identities: ReadonlyMap<string, Identity>
  /** What was tried. */
  readonly logins: Login[] = []

  constructor(...identities: readonly Identity[]) {
    this.#identities = new Map(identities.map(identity => [identity.account, identity]))
  }

  verify(login: Login): Promise<Identity | undefined> {
    this.logins.push(login)
    const { username, password } = login
    if (username === 'impatient')
      return Promise.reject(
        new DomainError('throttled', 'Too many wrong passwords; wait 7 seconds.', {
          resource: 'account',
          name: username,
          retryAfterSeconds: 7,
        }),
      )
    return Promise.resolve(password === passwordOf(username) ? this.#identities.get(username) : undefined)
  }

  renew(account: string, stamp: string): Promise<Identity | undefined> {
    const identity = this.#identities.get(account)
    return Promise.resolve(identity?.stamp === stamp ? identity : undefined)
  }
}

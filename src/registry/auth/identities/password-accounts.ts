import type { Logger } from '../../../log.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { type AccountName, accountKindOf, parseAccountName } from '../../../storage/accounts/names.ts'
import { digestOf, hexOf } from '../../../storage/digest.ts'
import type { AccountRecords } from '../../../storage/metadata/account-records.ts'
import type { Identity, IdentityProvider, Login } from '../identity.ts'
import type { KnownAccount, KnownAccounts } from './known-accounts.ts'
import { bcryptCostOf, defaultPasswordCost, type PasswordHasher, saltOf, settingOf } from './password.ts'

export interface PasswordAccountsOptions {
  readonly accounts: KnownAccounts
  readonly hasher: PasswordHasher
  /** Where hashes are written that have more work than the one before. */
  readonly records: Pick<AccountRecords, 'rehashPassword'>
  readonly log: Logger
  /** Of new hashes; {@link defaultPasswordCost} unless given. */
  readonly cost?: number | undefined
}

const stampPrefix = 'password:'

/** Whoever knows the password of an account, be it of the database or of an htpasswd file. */
export class PasswordAccounts implements IdentityProvider, AsyncDisposable {
  readonly #options: PasswordAccountsOptions
  readonly #cost: number
  readonly #closing = new AbortController()
  readonly #rehashing = new Set<Promise<void>>()

  constructor(options: PasswordAccountsOptions) {
    this.#options = options
    this.#cost = options.cost ?? defaultPasswordCost
  }

  async verify({ username, password }: Login, options?: Abortable): Promise<Identity | undefined> {
    const kind = accountKindOf(username)
    // That these have no password is no secret.
    if (kind === undefined || kind === 'federated') return undefined
    const { accounts, hasher } = this.#options
    const account = await accounts.find(parseAccountName(username), options)
    const hash = account?.passwordHash ?? null
    const isRight = await hasher.compare(password, hash, this.#cost, options)
    if (!isRight || hash === null || account === undefined || !account.isActive) return undefined
    this.#raiseCost(account.name, password, hash)
    return identityOf(account, hash)
  }

  async renew(name: AccountName, stamp: string, options?: Abortable): Promise<Identity | undefined> {
    if (!stamp.startsWith(stampPrefix)) return undefined
    const account = await this.#options.accounts.findActive(name, options)
    if (account === undefined || account.passwordHash === null) return undefined
    return stamp === stampOf(account.passwordHash) ? identityOf(account, account.passwordHash) : undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#rehashing)
  }

  /** Some time later: the login does not wait for it. Of an account that is not of the database nothing changes. */
  #raiseCost(name: AccountName, password: string, hash: string): void {
    if ((bcryptCostOf(hash) ?? this.#cost) >= this.#cost || this.#closing.signal.aborted) return
    const rehashing = this.#rehash(name, password, hash).finally(() => this.#rehashing.delete(rehashing))
    this.#rehashing.add(rehashing)
  }

  async #rehash(name: AccountName, password: string, hash: string): Promise<void> {
    const { hasher, records, log } = this.#options
    const { signal } = this.#closing
    try {
      // The salt stays, and with it the stamp of refresh tokens.
      const raised = await hasher.hash(password, settingOf(hash, this.#cost), { signal })
      await records.rehashPassword(name, hash, raised, { signal })
    } catch (error) {
      if (!signal.aborted)
        log.warn(
          { account: name, error },
          'a password could not be hashed with more work; the next login tries it',
        )
    }
  }
}

function identityOf({ name, isAdmin, unchangedUntil }: KnownAccount, hash: string): Identity {
  return {
    account: name,
    isAdmin,
    credential: 'password',
    scopes: null,
    memberships: [],
    stamp: stampOf(hash),
    unchangedUntil,
  }
}

/** A password that is set anew has another salt, even if it is the same one. */
function stampOf(hash: string): string {
  return `${stampPrefix}${hexOf(digestOf(Buffer.from(saltOf(hash)))).slice(0, 32)}`
}

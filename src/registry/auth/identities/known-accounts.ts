import { type AccountName, accountKindOf } from '../../../storage/accounts/names.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { Identity } from '../identity.ts'

/** What is known of an account, whatever may prove it. */
export interface KnownAccount {
  readonly name: AccountName
  readonly isAdmin: boolean
  /** False: disabled or expired. */
  readonly isActive: boolean
  /** Of bcrypt; null: no password opens it. */
  readonly passwordHash: string | null
  /** See {@link Identity.unchangedUntil}. */
  readonly unchangedUntil?: Identity['unchangedUntil']
}

/** CONTRACT. A place where accounts are. Implementations: the database, an htpasswd file, OpenID providers. */
export interface AccountSource {
  /** Undefined when it is not known here. @throws DomainError `unavailable` when that cannot be known now. */
  find(name: AccountName, options?: Abortable): Promise<KnownAccount | undefined>
}

/**
 * All accounts. A name is that of the first source that knows it, and of no other: so an account that is disabled in
 * the database stays so, whatever a file says.
 */
export class KnownAccounts implements AccountSource {
  readonly #sources: readonly AccountSource[]
  readonly #admins: ReadonlySet<string>

  /** @param admins names of those that may do everything, beside those that their source calls so. */
  constructor(sources: readonly AccountSource[], admins: readonly string[]) {
    this.#sources = sources
    this.#admins = new Set(admins)
  }

  async find(name: AccountName, options?: Abortable): Promise<KnownAccount | undefined> {
    for (const source of this.#sources) {
      const account = await source.find(name, options)
      if (account !== undefined) return { ...account, isAdmin: account.isAdmin || this.#admins.has(name) }
    }
    return undefined
  }

  /** Undefined as well for one that is disabled or expired. */
  async findActive(name: AccountName, options?: Abortable): Promise<KnownAccount | undefined> {
    const account = await this.find(name, options)
    return account?.isActive === true ? account : undefined
  }
}

/** Accounts of OpenID providers: as long as a provider is configured, it answers for all names that begin with its own. */
export class FederatedAccounts implements AccountSource {
  readonly #providers: ReadonlySet<string>

  constructor(providers: readonly string[]) {
    this.#providers = new Set(providers)
  }

  async find(name: AccountName): Promise<KnownAccount | undefined> {
    if (accountKindOf(name) !== 'federated') return undefined
    if (!this.#providers.has(name.slice(0, name.indexOf('/')))) return undefined
    return { name, isAdmin: false, isActive: true, passwordHash: null }
  }
}

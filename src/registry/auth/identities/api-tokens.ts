import type { Abortable } from '../../../storage/abortable.ts'
import type { AccountName } from '../../../storage/accounts/names.ts'
import type { CredentialRecords, StoredCredential } from '../../../storage/metadata/account-records.ts'
import type { Identity, IdentityProvider, Login } from '../identity.ts'
import { isSecretOf, parseAccountToken } from './account-token.ts'
import type { KnownAccounts } from './known-accounts.ts'
import type { UseLog } from './use-notes.ts'

export interface ApiTokensOptions {
  readonly records: Pick<CredentialRecords, 'findCredential'>
  readonly accounts: KnownAccounts
  readonly uses: UseLog
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

const stampPrefix = 'token:'

/**
 * API tokens of accounts of every origin. Each is looked up whenever it is shown, so one that is revoked is good for
 * nothing from then on. Nobody guesses 256 bits, so wrong ones delay nobody.
 */
export class ApiTokens implements IdentityProvider {
  readonly #options: ApiTokensOptions
  readonly #now: () => number

  constructor(options: ApiTokensOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** The password is the token, the name that of its account. */
  async verify({ username, password }: Login, options?: Abortable): Promise<Identity | undefined> {
    const identity = await this.verifyToken(password, options)
    return identity !== undefined && isNameFor(username, identity.account) ? identity : undefined
  }

  /** A token alone, as `Authorization: Bearer` has it. */
  async verifyToken(text: string, options?: Abortable): Promise<Identity | undefined> {
    const token = parseAccountToken(text)
    if (token?.kind !== 'token') return undefined
    const credential = await this.#findGood(token.id, options)
    if (credential === undefined || !isSecretOf(token, credential.secretDigest)) return undefined
    const identity = await this.#identityOf(credential, options)
    if (identity !== undefined) this.#note(credential)
    return identity
  }

  async renew(account: AccountName, stamp: string, options?: Abortable): Promise<Identity | undefined> {
    if (!stamp.startsWith(stampPrefix)) return undefined
    const credential = await this.#findGood(stamp.slice(stampPrefix.length), options)
    if (credential?.account !== account) return undefined
    const identity = await this.#identityOf(credential, options)
    if (identity !== undefined) this.#note(credential)
    return identity
  }

  /** Notes another use of a token that is known to be good still. */
  repeat({ account, stamp }: Identity): boolean {
    if (stamp?.startsWith(stampPrefix) !== true) return false
    this.#note({ account, id: stamp.slice(stampPrefix.length) })
    return true
  }

  async #findGood(id: string, options?: Abortable): Promise<StoredCredential | undefined> {
    const credential = await this.#options.records.findCredential(id, options)
    if (credential?.kind !== 'token' || credential.revokedAt !== null) return undefined
    const { expiresAt } = credential
    return expiresAt === null || expiresAt.getTime() > this.#now() ? credential : undefined
  }

  async #identityOf(
    { id, account: name, scopes, memberships, expiresAt }: StoredCredential,
    options?: Abortable,
  ): Promise<Identity | undefined> {
    const account = await this.#options.accounts.findActive(name, options)
    if (account === undefined) return undefined
    return {
      account: name,
      isAdmin: account.isAdmin,
      credential: `token:${id}`,
      scopes,
      memberships,
      stamp: `${stampPrefix}${id}`,
      unchangedUntil: earlier(account.unchangedUntil, expiresAt),
    }
  }

  #note({ account, id }: Pick<StoredCredential, 'account' | 'id'>): void {
    this.#options.uses.note({ account, credential: id, at: new Date(this.#now()) })
  }
}

function earlier(ofAccount: number | undefined, ofToken: Date | null): number | undefined {
  return ofAccount === undefined || ofToken === null ? ofAccount : Math.min(ofAccount, ofToken.getTime())
}

/** RFC 7617, 2: a name in Basic credentials has no colon, but a provider's may: then what is before it is enough. */
function isNameFor(username: string, account: AccountName): boolean {
  return username === account || username === account.split(':', 1)[0]
}

import type { Abortable } from '../abortable.ts'
import type { AccountName, TenantName } from '../accounts/names.ts'
import type { Action } from '../accounts/roles.ts'
import type { Page } from './page.ts'
import type { Membership } from './tenant-records.ts'

/** CONTRACT. Users and robots, and what proves who they are. `test/contract/accounts.ts`. */
export interface AccountRecords {
  /**
   * Credentials that were of somebody else of this name, who came from elsewhere or is gone, end.
   *
   * @throws DomainError `already_exists`; `not_found` for a robot's tenant; `invalid` when name, kind and tenant do not
   * fit each other, or a text has a NUL character in it.
   */
  createAccount(account: NewAccount, options?: Abortable): Promise<Account>
  /** @throws DomainError `not_found`. */
  getAccount(name: AccountName, options?: Abortable): Promise<Account>
  /** As {@link getAccount}, with what its password is compared with; undefined for an account that is not known. */
  findAccount(name: AccountName, options?: Abortable): Promise<AccountWithPassword | undefined>
  /** By name, in byte order. */
  listAccounts(page: AccountPage, options?: Abortable): Promise<Account[]>
  /** What is not given stays. A password that is given ends all refresh tokens. @throws DomainError `not_found`, `invalid`. */
  updateAccount(name: AccountName, change: AccountChange, options?: Abortable): Promise<Account>
  /**
   * Keeps the same password in another hash, unless it has been changed meanwhile; refresh tokens stay good.
   * @param from the hash that it has now.
   */
  rehashPassword(name: AccountName, from: string, to: string, options?: Abortable): Promise<void>
  /** With its credentials, memberships and grants. @throws DomainError `not_found`. */
  deleteAccount(name: AccountName, options?: Abortable): Promise<void>
}

export interface Account {
  readonly name: AccountName
  readonly kind: 'user' | 'robot'
  /** A robot's, the first part of its name; null for a user. */
  readonly tenant: TenantName | null
  /** May do everything, in every tenant. */
  readonly isAdmin: boolean
  readonly isDisabled: boolean
  readonly description: string
  readonly createdAt: Date
  /** Counts as disabled from then on; null: never. */
  readonly expiresAt: Date | null
  /** When a password or one of its tokens was last used, to about a minute; null: never. */
  readonly lastUsedAt: Date | null
}

export interface AccountWithPassword extends Account {
  /** Of bcrypt; null: no password opens it. */
  readonly passwordHash: string | null
}

export type NewAccount = Pick<AccountWithPassword, 'name' | 'kind'> &
  Partial<Omit<AccountWithPassword, 'name' | 'kind' | 'createdAt' | 'lastUsedAt'>>

export type AccountChange = Partial<
  Pick<AccountWithPassword, 'isAdmin' | 'isDisabled' | 'description' | 'expiresAt' | 'passwordHash'>
>

export interface AccountPage extends Page {
  readonly kind?: Account['kind'] | undefined
  readonly tenant?: TenantName | undefined
}

/** CONTRACT. Tokens that stand for an account: API tokens, and the refresh tokens that docker keeps. */
export interface CredentialRecords {
  /**
   * One whose parent is not there any more, or is revoked, begins as a revoked one: its parent may have been revoked
   * while it was on its way. @throws DomainError `already_exists` for the id; `invalid` when a text has a NUL character
   * in it.
   */
  addCredential(credential: NewCredential, options?: AddCredentialOptions): Promise<Credential>
  /** Undefined when it is unknown. Of one that is revoked or expired everything is told, so that it can be refused. */
  findCredential(id: string, options?: Abortable): Promise<StoredCredential | undefined>
  /** The newest {@link maxListedCredentials}, newest first, without those that ended more than {@link rememberedMs} ago. */
  listCredentials(account: AccountName, kind: Credential['kind'], options?: Abortable): Promise<Credential[]>
  /** With all that was got by it, and by that. One that is revoked already is success. @throws DomainError `not_found`. */
  revokeCredential(account: AccountName, id: string, options?: Abortable): Promise<void>
  /** Notes when credentials and accounts were last used: many at once, some time later, in any order. */
  noteUses(uses: readonly CredentialUse[], options?: Abortable): Promise<void>
  /**
   * Forgets those that expired or were revoked before, with the refresh tokens that were got by them. Answers how many.
   * In several transactions when there are many.
   */
  deleteOldCredentials(before: Date, options?: Abortable): Promise<number>
}

export interface AddCredentialOptions extends Abortable {
  /**
   * How many of the account's, of this kind, are kept; all unless given. Those are forgotten that were not used, or made,
   * for the longest time: programs that log in for each job would leave rows without end. Of those that are added at once,
   * some may stay until the next one is.
   */
  readonly keep?: number | undefined
}

export const maxListedCredentials = 1000

/** For how long those that have ended are listed: 30 days, in milliseconds. */
export const rememberedMs = 30 * 24 * 60 * 60 * 1000

export interface Credential {
  /** Part of the token's text, and told in logs. 16 lower-case letters and digits. */
  readonly id: string
  /** `token`: an API token, used in place of a password. `refresh`: only the token service takes it. */
  readonly kind: 'token' | 'refresh'
  /** Need not be one of {@link AccountRecords}: an htpasswd user's, an OpenID provider's. */
  readonly account: AccountName
  readonly description: string
  /** What it may do at most, of what its account may; null: all of it. */
  readonly scopes: readonly CredentialScope[] | null
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly lastUsedAt: Date | null
  readonly revokedAt: Date | null
}

export interface CredentialScope {
  /** Of `storage/name-pattern.ts`, for the whole name of a repository. */
  readonly pattern: string
  readonly actions: readonly Action[]
}

export interface StoredCredential extends Credential {
  /** SHA-256 of the secret part of the token, in hex: it is random, so no slow hash is needed. */
  readonly secretDigest: string
  /** What proved the account when a refresh token was given: it ends when that is another. See `registry/auth/identity.ts`. */
  readonly stamp: string | null
  /** Id of the API token by which a refresh token was got. */
  readonly parent: string | null
  /**
   * Beside those of the tenants: what the claims stood for with which an OpenID provider's account got this token by a
   * browser. They end with it. JSON; at most 1,000.
   */
  readonly memberships: readonly Membership[]
}

export type NewCredential = Pick<StoredCredential, 'id' | 'kind' | 'account' | 'secretDigest'> &
  Partial<Pick<StoredCredential, 'description' | 'scopes' | 'expiresAt' | 'stamp' | 'parent' | 'memberships'>>

export interface CredentialUse {
  readonly account: AccountName
  /** Undefined: a password. */
  readonly credential?: string | undefined
  readonly at: Date
}

/** CONTRACT. The keys that access tokens are signed with, shared by all processes. */
export interface SigningKeyRecords {
  /** Newest first, no two of the same time. */
  listSigningKeys(options?: Abortable): Promise<SigningKey[]>
  /**
   * Adds a key unless somebody has added one since `newerThan` (null: unless there is one). Answers all, newest first:
   * whoever was first, all processes go on with the same. One that would not be newer than all others, by the clock of
   * another machine, gets the time right after theirs.
   */
  addSigningKey(key: SigningKey, newerThan: Date | null, options?: Abortable): Promise<SigningKey[]>
  /** Absent is success. */
  deleteSigningKeys(ids: readonly string[], options?: Abortable): Promise<void>
}

export interface SigningKey {
  /** RFC 7638 thumbprint. */
  readonly id: string
  /** RFC 7517, with its private part. JSON. */
  readonly jwk: string
  readonly createdAt: Date
}

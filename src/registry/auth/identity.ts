import type { AccountName, TenantName } from '../../storage/accounts/names.ts'
import type { Role } from '../../storage/accounts/roles.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { CredentialScope } from '../../storage/metadata/account-records.ts'

/** Somebody who has proved who they are. */
export interface Identity {
  readonly account: AccountName
  readonly isAdmin: boolean
  /** How it was proved, as the audit log tells it: `password`, `token:ID`, `refresh:ID`, `oidc:PROVIDER`, `certificate`. */
  readonly credential: string
  /** What the credential may do at most, of what the account may; null: all of it. */
  readonly scopes: readonly CredentialScope[] | null
  /** Beside those of the database: what an OpenID provider's claims stand for. */
  readonly memberships: readonly { readonly tenant: TenantName; readonly role: Role }[]
  /**
   * Changes when the proof is not good any more: a fingerprint of the password's hash, or the id of the API token. A
   * refresh token is good as long as its account still has the stamp that it was given for. Null: no refresh token.
   */
  readonly stamp: string | null
  /**
   * While nothing in the database changes it stays as it is until then, in milliseconds since 1970: {@link
   * IdentityProvider.repeat}. Undefined: more than the database decides about it, such as a file or an OpenID provider.
   */
  readonly unchangedUntil?: number | undefined
}

/** A user name and what came with it: a password, an API token, or a token of an OpenID provider. */
export interface Login {
  readonly username: string
  readonly password: string
  /** IP address of the client, for the delay after wrong ones. */
  readonly address: string
}

/** CONTRACT. What can tell whether a login is right. */
export interface IdentityProvider {
  /**
   * Undefined when this provider does not know the account or the password is wrong, which nobody is told apart, by
   * the time that it takes neither.
   * @throws DomainError `throttled` after too many wrong ones; `unavailable` when it cannot be known now.
   */
  verify(login: Login, options?: Abortable): Promise<Identity | undefined>
  /**
   * The account as it is now, for a refresh token: undefined when this provider does not know it any more, when it is
   * disabled, or when it has another stamp.
   */
  renew(account: AccountName, stamp: string, options?: Abortable): Promise<Identity | undefined>
  /**
   * For an identity that {@link verify} has answered, when nothing in the database has changed since: whether it would
   * answer the same to the same login. If so, that counts as another login. Undefined: each has to be verified.
   */
  repeat?(identity: Identity): boolean
}

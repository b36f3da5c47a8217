import type { Abortable } from '../../storage/abortable.ts'
import type { AccountName, TenantName } from '../../storage/accounts/names.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { Access, Decision } from './access.ts'

/**
 * CONTRACT. Says what a request may do. Implementations: everything is open; Basic on every request; tokens. The
 * executable half is `test/contract/access-controller.ts`.
 */
export interface AccessController {
  /**
   * The caller, who may do all that is wanted.
   *
   * @param wanted empty for GET /v2/, which must challenge those who have shown nothing.
   * @throws DomainError `unauthorized` with the challenge to answer, when nothing, nothing valid, or too little was shown
   * that another credential could mend; `denied` when a known account may not; `throttled` after too many wrong
   * passwords. Whether the repository exists plays no part.
   */
  authorize(request: Credentials, wanted: readonly Access[], options?: AuthorizeOptions): Promise<Caller>
}

export interface AuthorizeOptions extends Abortable {
  /** What it would be good to have, too, though the request does without: part of a challenge, and never a reason for one. */
  readonly wishes?: readonly Access[] | undefined
}

/** What of a request shows who sends it. */
export interface Credentials {
  /** The header `Authorization`. */
  readonly authorization: string | undefined
  /** Account that a client certificate stands for, when the connection has one that is good. */
  readonly certificate?: AccountName | undefined
  /** By which the client has called, as far as that can be believed: what a realm is made from when none is configured. */
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly address: string
  /** Stands for the connection that it has come by, as long as that is open. */
  readonly connection?: object | undefined
}

/** Whoever sent a request that was let in. */
export interface Caller {
  /** Null: nobody in particular. */
  readonly account: AccountName | null
  /** What they show may still be good for less, which `decide` knows. */
  readonly isAdmin: boolean
  /** Where claims of an OpenID provider make them a member: the database does not know of these memberships. */
  readonly tenants: readonly TenantName[]
  /** As {@link Identity.credential}; `bearer:JTI` for an access token; undefined for nobody. */
  readonly credential: string | undefined
  /** Which rule let them in, for the audit log. */
  readonly rule: string
  /** About what is not clear from the request alone: the source of a mount, the entries of the catalog. */
  decide(access: Access, options?: Abortable): Promise<Decision>
  /**
   * Whether it is somebody who may push there, though a token that was asked for to pull may be good for no more than
   * that. It lets nobody push: a trust policy asks it, about those who have to read what they are to sign.
   */
  mayPush(repository: RepositoryName, options?: Abortable): Promise<boolean>
}

import type { Abortable } from '../abortable.ts'
import type { AccountName, TenantName } from '../accounts/names.ts'
import type { Action, Role, Visibility } from '../accounts/roles.ts'
import type { RepositoryName } from '../reference.ts'
import type { Page } from './page.ts'

/** CONTRACT. Tenants, who belongs to them, and what else is allowed in them. `test/contract/tenants.ts`. */
export interface TenantRecords extends TenantList, MemberRecords, GrantRecords, AccessRecords {}

export interface TenantList {
  /** @throws DomainError `already_exists`; `invalid` when its description or policy has a NUL character in it. */
  createTenant(tenant: NewTenant, options?: Abortable): Promise<Tenant>
  /** @throws DomainError `not_found`. */
  getTenant(name: TenantName, options?: Abortable): Promise<Tenant>
  /** By name, in byte order. */
  listTenants(page: Page, options?: Abortable): Promise<Tenant[]>
  /** What is not given stays. @throws DomainError `not_found`; `invalid` as for {@link createTenant}. */
  updateTenant(name: TenantName, change: TenantChange, options?: Abortable): Promise<Tenant>
  /**
   * Removes it with its members, grants, rules and robots, and all that is the robots'. A push that was let in before
   * may still make a repository, which is then for admins only. @throws DomainError `not_found`; `conflict` while it
   * has repositories, or such as were deleted and are still kept.
   */
  deleteTenant(name: TenantName, options?: Abortable): Promise<void>
}

export interface MemberRecords {
  /** Makes the account a member, or changes its role. The account need not be known. @throws DomainError `not_found`. */
  setMember(tenant: TenantName, account: AccountName, role: Role, options?: Abortable): Promise<void>
  /** @throws DomainError `not_found`. */
  removeMember(tenant: TenantName, account: AccountName, options?: Abortable): Promise<void>
  /** By account, in byte order. @throws DomainError `not_found`. */
  listMembers(tenant: TenantName, page: Page, options?: Abortable): Promise<Member[]>
  /** The tenants that the account is a member of, by name. */
  listMemberships(account: AccountName, options?: Abortable): Promise<Membership[]>
}

export interface GrantRecords {
  /**
   * @throws DomainError `not_found` for the tenant; `conflict` when it has {@link maxGrants}; `invalid` when the pattern
   * has a NUL character in it.
   */
  addGrant(grant: NewGrant, options?: Abortable): Promise<Grant>
  /** @throws DomainError `not_found`. */
  removeGrant(tenant: TenantName, id: string, options?: Abortable): Promise<void>
  /** In the order in which they were added. @throws DomainError `not_found`. */
  listGrants(tenant: TenantName, options?: Abortable): Promise<Grant[]>
}

/** Grants of one tenant: each decision looks at all that are for its account. */
export const maxGrants = 500

export interface AccessRecords {
  /**
   * Overrides the tenant's for one repository, which need not exist yet; null: as the tenant's. @throws DomainError
   * `not_found` for the tenant.
   */
  setRepositoryVisibility(
    repository: RepositoryName,
    visibility: Visibility | null,
    options?: Abortable,
  ): Promise<void>

  /**
   * All that decides what an account, or nobody in particular, may do with a repository, in one read. Says the same of
   * a repository that exists and of one that does not.
   */
  accessFacts(
    account: AccountName | null,
    repository: RepositoryName,
    options?: Abortable,
  ): Promise<AccessFacts>
}

export interface Tenant {
  readonly name: TenantName
  readonly description: string
  /** Of its repositories, where they have none of their own. */
  readonly visibility: Visibility
  /** Bytes of all blobs that its repositories link, each counted once, and of their manifests; null: no limit. */
  readonly quotaBytes: number | null
  /** Repositories; null: no limit. */
  readonly quotaRepositories: number | null
  /** Only images that are signed as its trust policy wants may be pulled; null: all. JSON, `registry/trust/`. */
  readonly trustPolicy: string | null
  readonly createdAt: Date
}

export type NewTenant = Pick<Tenant, 'name'> & Partial<Omit<Tenant, 'name' | 'createdAt'>>

export type TenantChange = Partial<Omit<Tenant, 'name' | 'createdAt'>>

export interface Member {
  readonly account: AccountName
  readonly role: Role
  readonly since: Date
}

export interface Membership {
  readonly tenant: TenantName
  readonly role: Role
}

/** Whom a grant is for: one account, every account, or everybody, those without an account too. */
export type GrantSubject = AccountName | '@accounts' | '@everybody'

/** Allows actions in the tenant's repositories whose name fits. Nothing can be forbidden by one. */
export interface Grant {
  readonly id: string
  readonly tenant: TenantName
  readonly subject: GrantSubject
  /** Of `storage/name-pattern.ts`, for the whole name of a repository, which begins with the tenant's. */
  readonly pattern: string
  readonly actions: readonly Action[]
  readonly createdAt: Date
}

export type NewGrant = Pick<Grant, 'tenant' | 'subject' | 'pattern' | 'actions'>

export interface AccessFacts {
  /** Undefined: there is no such tenant. */
  readonly tenant: Pick<Tenant, 'name' | 'visibility'> | undefined
  readonly repositoryVisibility: Visibility | undefined
  /** The account's in the tenant. */
  readonly role: Role | undefined
  /** Those of the tenant that are for this account, for every account (if there is one), or for everybody. */
  readonly grants: readonly Grant[]
}

import type { Generated } from 'kysely'
import type { AccountName, TenantName } from '../../accounts/names.ts'
import type { Role, Visibility } from '../../accounts/roles.ts'
import type { RepositoryName } from '../../reference.ts'
import type { Account, Credential } from '../account-records.ts'
import type { NewAuditEntry } from '../audit-records.ts'
import type { GrantSubject } from '../tenant-records.ts'
import type { Flag } from './flag.ts'

/** What has been folded. */
export interface TenantUsageRow {
  tenant: TenantName
  bytes: number
  repositories: number
}

/** What one transaction has changed. */
export interface UsageChangeRow {
  serial: Generated<number>
  tenant: TenantName
  bytes: number
  repositories: number
}

export interface TagRuleRow {
  /** In the order in which they were added. */
  serial: Generated<number>
  id: string
  tenant: TenantName
  repositories: string
  tags: string
  created_at: number
}

export interface TenantRow {
  name: TenantName
  description: string
  visibility: Visibility
  quota_bytes: number | null
  quota_repositories: number | null
  /** JSON. */
  trust_policy: string | null
  created_at: number
}

export interface TenantMemberRow {
  tenant: TenantName
  /** Need not be in `accounts`. */
  account: AccountName
  role: Role
  since: number
}

export interface GrantRow {
  /** In the order in which they were added. */
  serial: Generated<number>
  id: string
  tenant: TenantName
  subject: GrantSubject
  pattern: string
  /** JSON. */
  actions: string
  created_at: number
}

export interface RepositoryVisibilityRow {
  /** Need not be in `repositories`. */
  repository: RepositoryName
  /** That of the repository. */
  tenant: TenantName
  visibility: Visibility
}

export interface AccountRow {
  name: AccountName
  kind: Account['kind']
  /** A robot's. */
  tenant: TenantName | null
  is_admin: Flag
  is_disabled: Flag
  description: string
  /** Of bcrypt. */
  password_hash: string | null
  created_at: number
  expires_at: number | null
  last_used_at: number | null
}

export interface CredentialRow {
  id: string
  kind: Credential['kind']
  /** Need not be in `accounts`. */
  account: AccountName
  /** SHA-256, in hex. */
  secret_digest: string
  description: string
  /** JSON; null: everything that the account may do. */
  scopes: string | null
  /** JSON. */
  memberships: string
  stamp: string | null
  /** Need not be there any more. */
  parent: string | null
  created_at: number
  expires_at: number | null
  last_used_at: number | null
  revoked_at: number | null
}

export interface SigningKeyRow {
  id: string
  /** JSON. */
  jwk: string
  created_at: number
  /** The newest key when it was added; empty for the first. */
  predecessor: string
}

export interface AuditRow {
  id: Generated<number>
  at: number
  account: string | null
  claimed: string | null
  credential: string | null
  operation: string
  target: string | null
  /** Of a target that is a repository. */
  tenant: string | null
  reference: string | null
  outcome: NewAuditEntry['outcome']
  rule: string | null
  status: number | null
  address: string
  user_agent: string
  request_id: string
}

/** Lets entries from before be deleted while it is there. */
export interface AuditSweepRow {
  before: number
}

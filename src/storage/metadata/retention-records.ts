import type { Abortable } from '../abortable.ts'
import type { TenantName } from '../accounts/names.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'

/**
 * CONTRACT. What the retention needs to know and to do. Its rules are decided elsewhere (`registry/retention/`), on what
 * is read here; each deletion checks in its own transaction that what was decided on is still so. The executable half is
 * `test/contract/metadata-retention.ts`.
 */
export interface RetentionRecords {
  /** @throws DomainError `not_found` for the tenant. */
  addRetentionPolicy(policy: NewRetentionPolicy, options?: Abortable): Promise<RetentionPolicyRecord>
  /** @throws DomainError `not_found`. */
  removeRetentionPolicy(tenant: TenantName, id: string, options?: Abortable): Promise<void>
  /** Those of a tenant, or all; in the order in which they were added. */
  listRetentionPolicies(tenant: TenantName | undefined, options?: Abortable): Promise<RetentionPolicyRecord[]>

  leaseRetention(lease: RetentionLease, options?: Abortable): Promise<boolean>
  releaseRetention(holder: string, options?: Abortable): Promise<void>

  /** Tags in byte order, those after one, with what rules ask about. */
  listTagFacts(
    repository: RepositoryName,
    after: Tag | undefined,
    limit: number,
    options?: Abortable,
  ): Promise<TagFacts[]>
  /** Manifests that no tag, no index and no subject keeps, in byte order of the digest, those after one. */
  listUntagged(
    repository: RepositoryName,
    after: Digest | undefined,
    limit: number,
    options?: Abortable,
  ): Promise<UntaggedFacts[]>
  /**
   * Deletes the tag if it names `digest` still, was set at `setAt`, and was not pulled since `notPulledSince`. Nothing is
   * done to tags that may not be changed. The manifest goes when nothing else names it, after the time in which it can be
   * taken back, and with an index the manifests that only it names.
   * @returns whether it was deleted.
   */
  expireTag(expiry: TagExpiry, options?: ChangeOptions): Promise<boolean>
  /** As {@link expireTag}, of a manifest that still nothing names. */
  dropUntagged(repository: RepositoryName, digest: Digest, options?: ChangeOptions): Promise<boolean>

  /** When the tag goes by itself; undefined takes that back. It counts until the tag is set to something else. */
  setTagExpiry(
    repository: RepositoryName,
    tag: Tag,
    expiresAt: Date | undefined,
    options?: ChangeOptions,
  ): Promise<void>
  /** Those whose time has come, oldest first. */
  listExpiredTags(before: Date, limit: number, options?: Abortable): Promise<ExpiredTag[]>
}

export interface NewRetentionPolicy {
  readonly tenant: TenantName
  /** JSON, as `registry/retention/` defines it. */
  readonly rules: string
}

export interface RetentionPolicyRecord extends NewRetentionPolicy {
  readonly id: string
  readonly createdAt: Date
}

export interface RetentionLease {
  readonly holder: string
  readonly until: Date
}

export interface TagFacts {
  readonly tag: Tag
  readonly digest: Digest
  /** When the tag was set last. */
  readonly pushedAt: Date
  /** When the manifest was pulled last; null: never, or not since that is written down. */
  readonly pulledAt: Date | null
  readonly expiresAt: Date | null
  /** Whether a rule of immutable tags keeps it. */
  readonly isImmutable: boolean
}

export interface UntaggedFacts {
  readonly digest: Digest
  /** Since when nothing names it, as far as that is known. */
  readonly since: Date
  readonly pulledAt: Date | null
}

export interface TagExpiry {
  readonly repository: RepositoryName
  readonly tag: Tag
  readonly digest: Digest
  readonly setAt: Date
  readonly notPulledSince?: Date | undefined
}

export interface ExpiredTag {
  readonly repository: RepositoryName
  readonly tag: Tag
  readonly digest: Digest
  readonly setAt: Date
  readonly expiresAt: Date
}

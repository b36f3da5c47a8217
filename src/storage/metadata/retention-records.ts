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
  /** @throws DomainError `not_found` for the tenant; `conflict` when others were added, or removed, meanwhile. */
  addRetentionPolicy(policy: NewRetentionPolicy, options?: Abortable): Promise<RetentionPolicyRecord>
  /** @throws DomainError `not_found`. */
  removeRetentionPolicy(tenant: TenantName, id: string, options?: Abortable): Promise<void>
  /** Those of a tenant, or all; in the order in which they were added. */
  listRetentionPolicies(tenant: TenantName | undefined, options?: Abortable): Promise<RetentionPolicyRecord[]>

  /** Makes `holder` the one who drops things, until then; false while somebody else is. */
  leaseRetention(lease: RetentionLease, options?: Abortable): Promise<boolean>
  releaseRetention(holder: string, options?: Abortable): Promise<void>
  retentionState(options?: Abortable): Promise<RetentionState>
  /** Begins a run, whose counts begin at 0. */
  beginRetention(options?: Abortable): Promise<void>
  /** Adds what was done, and remembers how far it has come. */
  saveRetention(progress: RetentionProgress, options?: Abortable): Promise<void>
  /** Remembers of which events the labels were read. */
  saveLabelPosition(position: number, options?: Abortable): Promise<void>

  /** Tags in byte order, those after one, with what rules ask about. */
  listTagFacts(
    repository: RepositoryName,
    after: Tag | undefined,
    limit: number,
    options?: Abortable,
  ): Promise<TagFacts[]>
  /** Undefined: there is no such tag. */
  findTagFacts(repository: RepositoryName, tag: Tag, options?: Abortable): Promise<TagFacts | undefined>
  /** Manifests that no tag, no index and no subject keeps, and that were not dropped, in byte order of the digest. */
  listUntagged(
    repository: RepositoryName,
    after: Digest | undefined,
    limit: number,
    options?: Abortable,
  ): Promise<UntaggedFacts[]>
  /**
   * Deletes the tag if it names `digest` still, was set at `setAt`, and the rest of `expiry` holds. Nothing is done to
   * tags that may not be changed. The manifest goes when nothing else names it, after the time in which it can be taken
   * back, and with an index the manifests that only it names.
   * @returns whether it was deleted.
   */
  expireTag(expiry: TagExpiry, options?: ChangeOptions): Promise<boolean>
  /**
   * As {@link expireTag}, of a manifest that still nothing names, and that nobody has put or pulled since `since`.
   */
  dropUntagged(
    repository: RepositoryName,
    digest: Digest,
    since: Date,
    options?: ChangeOptions,
  ): Promise<boolean>

  /**
   * When the tag goes by itself; undefined: never, whatever a label says. It counts until the tag is set again.
   * @throws DomainError `not_found` for the tag; `conflict` when it is to go and may not be changed.
   */
  setTagExpiry(
    repository: RepositoryName,
    tag: Tag,
    expiresAt: Date | undefined,
    options?: ChangeOptions,
  ): Promise<void>
  /**
   * What a label says. Counts as {@link setTagExpiry}, if the tag names `digest` still, was set at `setAt`, and nobody has
   * set a time for it since. Answers whether it does.
   */
  noteTagExpiry(expiry: LabelledExpiry, options?: Abortable): Promise<boolean>
  /** Those whose time has come, oldest first. */
  listExpiredTags(before: Date, limit: number, options?: Abortable): Promise<ExpiredTag[]>
  /** Takes back that this tag goes by itself, as it was listed. */
  dropTagExpiry(expired: ExpiredTag, options?: Abortable): Promise<void>
  /** Forgets times that do not count any more, of those that have come. At most `limit`; answers how many. */
  forgetTagExpiries(before: Date, limit: number, options?: Abortable): Promise<number>
}

export interface NewRetentionPolicy {
  readonly tenant: TenantName
  /** JSON, as `retention-policy.ts` defines it. */
  readonly rules: string
  /** Those that the tenant had when it was decided that there is room; not looked at unless given. */
  readonly beside?: readonly Pick<RetentionPolicyRecord, 'id'>[] | undefined
}

export interface RetentionPolicyRecord {
  readonly id: string
  readonly tenant: TenantName
  readonly rules: string
  readonly createdAt: Date
}

export interface RetentionLease {
  readonly holder: string
  readonly until: Date
}

export interface RetentionState {
  /** Of the run that is under way, or else of the last one. */
  readonly beganAt: Date | null
  /** Null while a run is under way, and before the first. */
  readonly endedAt: Date | null
  /** The last repository that it has looked at. */
  readonly place: RepositoryName | null
  /** Of that run. */
  readonly totals: RetentionTotals
  /** Position of the last event whose tag's labels were read. */
  readonly labelsAt: number
}

export interface RetentionTotals {
  /** That a policy covers. */
  readonly repositories: number
  readonly tags: number
  /** Without a tag. */
  readonly manifests: number
  /** That changed in the moment in which they were to go, and so stayed. */
  readonly skipped: number
}

export interface RetentionProgress {
  /** The last repository that the run is done with; null: none yet. */
  readonly place: RepositoryName | null
  readonly isEnded?: boolean | undefined
  readonly done: RetentionTotals
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
  /**
   * Of a tag that belongs to a manifest by its name (`sha256-….sig`): whether that is there, or can be brought back.
   * Null for all others.
   */
  readonly isOwnerPresent: boolean | null
}

export interface UntaggedFacts {
  readonly digest: Digest
  /** Since when nothing names it and nobody asks for it, as far as that is known. */
  readonly since: Date
  readonly pulledAt: Date | null
}

export interface TagExpiry {
  readonly repository: RepositoryName
  readonly tag: Tag
  readonly digest: Digest
  readonly setAt: Date
  /** Only if it was not pulled then or later. */
  readonly notPulledSince?: Date | undefined
  /** Only if the time that was set for it has come by then. */
  readonly dueBy?: Date | undefined
}

export interface LabelledExpiry {
  readonly repository: RepositoryName
  readonly tag: Tag
  readonly digest: Digest
  readonly setAt: Date
  readonly expiresAt: Date
}

export type ExpiredTag = LabelledExpiry

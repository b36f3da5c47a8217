import type { Generated } from 'kysely'
import type { AccountName, TenantName } from '../accounts/names.ts'
import type { Role, Visibility } from '../accounts/roles.ts'
import type { UploadId } from '../blobs/blob-store.ts'
import type { Digest, DigestAlgorithm } from '../digest.ts'
import type { ReferenceRole } from '../manifest.ts'
import type { ManifestMediaType } from '../media-types.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { Account, Credential } from './account-records.ts'
import type { NewAuditEntry } from './audit-records.ts'
import type { EventAction, EventKind } from './event-records.ts'
import type {
  MirrorJobName,
  MirrorOutcome,
  MirrorResult,
  MirrorRunId,
  MirrorTrigger,
  MirrorWish,
} from './mirror-records.ts'
import type { BlobFault } from './scrub-records.ts'
import type { SettingName } from './setting-records.ts'
import type { TagCause } from './history-records.ts'
import type { GrantSubject } from './tenant-records.ts'

/**
 * The tables as Kysely sees them; `migrations/` makes them. Only this folder writes to them, and only through these
 * types, so what is read back is as valid as what was written. Times are milliseconds since 1970.
 */
export interface Schema {
  repositories: RepositoryRow
  manifests: ManifestRow
  manifest_references: ManifestReferenceRow
  tags: TagRow
  blobs: BlobRow
  blob_links: BlobLinkRow
  uploads: UploadRow
  garbage: GarbageRow
  settings: SettingRow
  events: EventRow
  event_sequence: EventSequenceRow
  event_endpoints: EventEndpointRow
  tenant_usage: TenantUsageRow
  usage_changes: UsageChangeRow
  tag_rules: TagRuleRow
  tenants: TenantRow
  tenant_members: TenantMemberRow
  grants: GrantRow
  repository_visibility: RepositoryVisibilityRow
  accounts: AccountRow
  credentials: CredentialRow
  signing_keys: SigningKeyRow
  audit: AuditRow
  audit_sweeps: AuditSweepRow
  leases: LeaseRow
  mirror_jobs: MirrorJobRow
  mirror_wishes: MirrorWishRow
  mirror_tags: MirrorTagRow
  mirror_runs: MirrorRunRow
  mirror_results: MirrorResultRow
  transfers: TransferRow
  upstream_tags: UpstreamTagRow
  pulled_manifests: PulledManifestRow
  collect_state: CollectStateRow
  deleted_manifests: DeletedManifestRow
  deleted_references: DeletedReferenceRow
  tag_history: TagHistoryRow
  retention_policies: RetentionPolicyRow
  tag_expiries: TagExpiryRow
  retention_state: RetentionStateRow
  blob_faults: BlobFaultRow
  stray_objects: StrayObjectRow
  scrub_state: ScrubStateRow
}

export interface RepositoryRow {
  name: RepositoryName
  created_at: number
  /** When somebody looks whether it is empty; null while nothing was taken out of it. */
  review_at: Generated<number | null>
  /** Since when nobody sees it: what is in it can be taken back, or goes. Null: it is there. */
  deleted_at: Generated<number | null>
  /** What is being done with all that is in it, batch by batch, while nobody sees it; null: nothing. */
  moving: Generated<'bury' | 'restore' | null>
  /** Who asked for the last deletion, or for what is under way. JSON. */
  requester: Generated<string | null>
}

export interface ManifestRow {
  repository: RepositoryName
  digest: Digest
  media_type: ManifestMediaType
  size: number
  /** As they were pushed. */
  bytes: Uint8Array
  /** What referrers are found by and described with: distribution-spec, "Listing Referrers". */
  subject: Digest | null
  artifact_type: string | null
  /** JSON. */
  annotations: string | null
  created_at: number
  /** When somebody looks whether anything names it: releases.ts. */
  review_at: number | null
  released_at: number
  /** Whether its subject was there and was deleted. */
  lost_subject: Flag
  /** Whether a rule dropped its last tag, so that it goes although what has no tag may stay. */
  dropped: Generated<Flag>
}

/** One edge; what it points to need not exist. */
export interface ManifestReferenceRow {
  repository: RepositoryName
  manifest: Digest
  /** In the manifest's order, from 0. */
  position: number
  role: ReferenceRole
  digest: Digest
  media_type: string
  size: number
}

export interface TagRow {
  repository: RepositoryName
  name: Tag
  digest: Digest
  /** What it named until it was set last; null when it was new then. */
  previous: Digest | null
  updated_at: number
}

export interface BlobRow {
  digest: Digest
  object_key: ObjectKey
  size: number
  /** `quarantined`: never served until somebody pushes its bytes again; `blob_faults` says why. */
  state: 'stored' | 'quarantined'
  created_at: number
}

export interface BlobLinkRow {
  repository: RepositoryName
  digest: Digest
  created_at: number
  /** When somebody looks whether a manifest names it: link-writer.ts. */
  review_at: number | null
  kept_until: number
}

export interface UploadRow {
  id: UploadId
  repository: RepositoryName
  algorithm: DigestAlgorithm
  object_key: ObjectKey
  part_size: number
  upload_offset: number
  multipart_token: string | null
  /** JSON. */
  parts: string
  tail_key: ObjectKey | null
  tail_size: number | null
  tail_digest: Digest | null
  next_tail_key: ObjectKey | null
  hash_state: string | null
  digest_at_offset: Digest | null
  committed: Digest | null
  holder: string | null
  lease_until: number | null
  expires_at: number
  /** Who began it; null: nobody in particular, or an older Varve did not say. */
  account: AccountName | null
}

export interface SettingRow {
  name: SettingName
  value: string
}

export interface GarbageRow {
  object_key: ObjectKey
  /** From when on the object may be deleted. */
  since: number
  /** Of what was a blob, and not a piece of an upload. */
  digest: Digest | null
  size: number | null
}

export interface EventRow {
  /** In the order in which the rows were written, which is not that in which their transactions were committed. */
  serial: Generated<number>
  /** Null until it is given one: event-sequence.ts. */
  position: number | null
  id: string
  at: number
  kind: EventKind
  action: EventAction
  /** Null, as all below but the last, for what is not of the content. */
  repository: RepositoryName | null
  digest: Digest | null
  tag: Tag | null
  media_type: string | null
  size: number | null
  previous: Digest | null
  from_repository: RepositoryName | null
  /** JSON. */
  requester: string | null
  /** JSON, of what is not of the content. */
  detail: string | null
}

/** There is one. */
export interface EventSequenceRow {
  /** The last position that was given. */
  newest: number
}

export interface EventEndpointRow {
  name: string
  position: number
  failures: number
  next_attempt_at: number | null
  holder: string | null
  lease_until: number | null
}

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

/** SQLite has no booleans (sqlite.org/datatype3.html, 2.1), and `node:sqlite` binds none. */
export type Flag = 0 | 1

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

/** What only one may do at a time: lead a mirror job, fetch a blob of an upstream, let go of copies, collect garbage … */
export type LeaseKind = 'mirror-job' | 'fill' | 'evict' | 'collect' | 'retention' | 'scrub' | 'backup'

export interface LeaseRow {
  kind: LeaseKind
  name: string
  holder: string
  lease_until: number
}

export interface MirrorJobRow {
  name: MirrorJobName
  /** JSON. */
  definition: string
  updated_at: number
}

export interface MirrorWishRow {
  /** Need not be in `mirror_jobs`. */
  job: MirrorJobName
  trigger: MirrorWish['trigger']
  requester: string | null
  at: number
}

export interface MirrorTagRow {
  /** Need not be in `mirror_jobs`. */
  job: MirrorJobName
  target: string
  tag: Tag
  digest: Digest
  /** Null: what `digest` is. */
  stored: Digest | null
  referrers_at: number
  scope: string | null
}

export interface MirrorRunRow {
  /** In the order in which they began. */
  serial: Generated<number>
  id: MirrorRunId
  /** Need not be in `mirror_jobs`. */
  job: MirrorJobName
  trigger: MirrorTrigger
  requester: string | null
  started_at: number
  /** JSON. */
  totals: string
  outcome: MirrorOutcome | null
  reason: string | null
  ended_at: number | null
  resume_at: number | null
}

export interface MirrorResultRow {
  serial: Generated<number>
  run: MirrorRunId
  source: string
  target: string
  tag: string | null
  outcome: MirrorResult['outcome']
  digest: Digest | null
  reason: string | null
  bytes: number
  at: number
}

export interface TransferRow {
  repository: RepositoryName
  digest: Digest
  upload: UploadId
}

export interface UpstreamTagRow {
  /** Need not be in `repositories`. */
  repository: RepositoryName
  tag: Tag
  checked_at: number
  /** Null: upstream does not have it. */
  digest: Digest | null
}

export interface PulledManifestRow {
  repository: RepositoryName
  digest: Digest
  at: number
}

/** There is one. */
export interface CollectStateRow {
  paused_at: number | null
  paused_by: string | null
  /** How far what has no tag was brought into the queue: the last repository; null before the first. */
  untagged_after: RepositoryName | null
  untagged_done: Flag
  /** When the next look for what nobody has brought into the queue begins, or when this one began. */
  forgotten_at: number
  /** How far that is: which table, and the last row; null while there is none. */
  forgotten_among: 'links' | 'blobs' | null
  forgotten_repository: RepositoryName | null
  forgotten_digest: Digest | null
  ticked_at: number | null
  links: number
  blobs: number
  manifests: number
  repositories: number
  objects: number
  bytes: number
}

/** A manifest that was deleted and can be taken back. Not in `manifests`. */
export interface DeletedManifestRow {
  repository: RepositoryName
  digest: Digest
  media_type: ManifestMediaType
  size: number
  bytes: Uint8Array
  subject: Digest | null
  created_at: number
  deleted_at: number
  /** An account. */
  deleted_by: string | null
  goes_at: number
}

/**
 * What it names and the repository had when it was deleted, its subject left out: that must stay as long as it can be
 * taken back.
 */
export interface DeletedReferenceRow {
  repository: RepositoryName
  manifest: Digest
  digest: Digest
}

export interface TagHistoryRow {
  /** In the order of the changes of one tag. */
  serial: Generated<number>
  /** Need not be in `repositories`. */
  repository: RepositoryName
  tag: Tag
  cause: TagCause
  /** What it names since then; null: it was deleted. */
  digest: Digest | null
  /** What it named before; null: it was not there. */
  previous: Digest | null
  at: number
  account: string | null
}

export interface RetentionPolicyRow {
  /** In the order in which they were added. */
  serial: Generated<number>
  id: string
  tenant: TenantName
  /** JSON. */
  rules: string
  created_at: number
}

export interface TagExpiryRow {
  repository: RepositoryName
  tag: Tag
  /** It expires only while it names this, and was not set again since: `updated_at` of the tag. */
  digest: Digest
  tag_set_at: number
  /** Null: somebody wants that it never does, whatever a label says. */
  expires_at: number | null
  source: 'label' | 'request'
}

/** There is one. */
export interface RetentionStateRow {
  /** Of the run that is under way, or else of the last one. */
  began_at: number | null
  /** Null while one is under way. */
  ended_at: number | null
  /** The last repository that it has looked at. */
  place: RepositoryName | null
  /** Of that run. */
  repositories: number
  tags: number
  manifests: number
  skipped: number
  /** Position of the last event whose tag's labels were read. */
  labels_at: number
}

export interface BlobFaultRow {
  digest: Digest
  /** Of the object that is at fault. */
  object_key: ObjectKey
  kind: BlobFault['kind']
  detail: string
  found_at: number
}

/** An object that no row names. */
export interface StrayObjectRow {
  object_key: ObjectKey
  size: number
  /** Of its bytes, once they were read. */
  digest: Digest | null
  found_at: number
}

/** There is one. */
export interface ScrubStateRow {
  began_at: number | null
  ended_at: number | null
  /** What the pass that is under way looks at; null between passes. */
  phase: 'blobs' | 'objects' | null
  /** The last digest or object key that it has looked at. */
  cursor: string | null
  /** Counts the passes, so that who is at work notices that another one has begun. */
  pass: number
  /** Of that pass: how many blobs there were when it began, how many it has looked at, and newly found missing. */
  pass_known: number
  pass_blobs: number
  pass_missing: number
  /** Whether it goes on however many blobs are missing. */
  takes_all: Flag
  /** When it stopped, because too many are. */
  stopped_at: number | null
  /** Since there was a database. */
  blobs: number
  bytes: number
  corrupt: number
  missing: number
  strays: number
  healed: number
}

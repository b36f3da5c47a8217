import type {
  AccountRow,
  AuditRow,
  AuditSweepRow,
  CredentialRow,
  GrantRow,
  RepositoryVisibilityRow,
  SigningKeyRow,
  TagRuleRow,
  TenantMemberRow,
  TenantRow,
  TenantUsageRow,
  UsageChangeRow,
} from './rows/accounts.ts'
import type {
  BlobLinkRow,
  BlobRow,
  GarbageRow,
  ManifestReferenceRow,
  ManifestRow,
  RepositoryRow,
  TagRow,
  UploadRow,
} from './rows/content.ts'
import type { EventEndpointRow, EventRow, EventSequenceRow } from './rows/events.ts'
import type {
  BlobFaultRow,
  CollectStateRow,
  DeletedManifestRow,
  DeletedReferenceRow,
  RetentionPolicyRow,
  RetentionStateRow,
  ScrubStateRow,
  StrayObjectRow,
  TagExpiryRow,
  TagHistoryRow,
} from './rows/life-cycle.ts'
import type {
  LeaseRow,
  MirrorJobRow,
  MirrorResultRow,
  MirrorRunRow,
  MirrorTagRow,
  MirrorWishRow,
  PulledManifestRow,
  TransferRow,
  UpstreamTagRow,
} from './rows/mirror.ts'
import type { SettingName } from './setting-records.ts'

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

export interface SettingRow {
  name: SettingName
  value: string
}

import type { Abortable } from '../abortable.ts'
import type { AccountRecords, CredentialRecords, SigningKeyRecords } from './account-records.ts'
import type { AdoptionRecords } from './adoption-records.ts'
import type { AuditRecords } from './audit-records.ts'
import type { BackupRecords } from './backup-records.ts'
import type { BlobRecords } from './blob-records.ts'
import type { CollectRecords } from './collect-records.ts'
import type { EventEndpointRecords, EventRecords } from './event-records.ts'
import type { GarbageRecords } from './garbage-records.ts'
import type { HistoryRecords } from './history-records.ts'
import type { ChangeMark } from './kept-values.ts'
import type { ManifestRecords } from './manifest-records.ts'
import type { MirrorRecords } from './mirror-records.ts'
import type { TransferRecords } from './transfer-records.ts'
import type { UpstreamRecords } from './upstream-records.ts'
import type { ParentRecords } from './parent-records.ts'
import type { RepositoryChangeRecords, RepositoryRecords } from './repository-records.ts'
import type { RetentionRecords } from './retention-records.ts'
import type { ScrubRecords } from './scrub-records.ts'
import type { SettingRecords } from './setting-records.ts'
import type { TagRecords } from './tag-records.ts'
import type { TagRuleRecords } from './tag-rule-records.ts'
import type { TenantRecords } from './tenant-records.ts'
import type { UploadRecords } from './upload-records.ts'
import type { UsageRecords } from './usage-records.ts'

/**
 * CONTRACT. What is known about the content: names, edges, links and upload sessions, in one transactional
 * database. Callers ask for the narrowest role. The executable half is `test/contract/metadata.ts`.
 *
 * Each method is one transaction. Everything that is visible together is written together, the events of a change
 * with the change.
 */
export interface Metadata
  extends RepositoryRecords,
    RepositoryChangeRecords,
    ManifestRecords,
    ParentRecords,
    TagRecords,
    BlobRecords,
    UploadRecords,
    GarbageRecords,
    AdoptionRecords,
    SettingRecords,
    EventRecords,
    EventEndpointRecords,
    TenantRecords,
    AccountRecords,
    CredentialRecords,
    SigningKeyRecords,
    UsageRecords,
    TagRuleRecords,
    AuditRecords,
    MirrorRecords,
    TransferRecords,
    UpstreamRecords,
    CollectRecords,
    HistoryRecords,
    RetentionRecords,
    ScrubRecords,
    BackupRecords,
    AsyncDisposable {
  /** Resolves when the database answers. @throws DomainError `unavailable`. */
  ping(options?: Abortable): Promise<void>
  /** For what is made of its content again and again. */
  readonly changeMark: ChangeMark
}

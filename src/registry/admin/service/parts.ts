import type { Abortable } from '../../../storage/abortable.ts'
import type { TenantName } from '../../../storage/accounts/names.ts'
import type { BackupRecord } from '../../../storage/backups/backup-record.ts'
import type {
  AccountRecords,
  CredentialRecords,
  SigningKey,
} from '../../../storage/metadata/account-records.ts'
import type { AuditRecords } from '../../../storage/metadata/audit-records.ts'
import type { BackupRecords } from '../../../storage/metadata/backup-records.ts'
import type { CollectRecords } from '../../../storage/metadata/collect-records.ts'
import type { HistoryRecords } from '../../../storage/metadata/history-records.ts'
import type { MirrorJobRecords, MirrorRunRecords } from '../../../storage/metadata/mirror-records.ts'
import type {
  RepositoryChangeRecords,
  RepositoryRecords,
} from '../../../storage/metadata/repository-records.ts'
import type { RetentionRecords } from '../../../storage/metadata/retention-records.ts'
import type {
  BlobFaultRecords,
  ScrubProgressRecords,
  StrayRecords,
} from '../../../storage/metadata/scrub-records.ts'
import type { SettingRecords } from '../../../storage/metadata/setting-records.ts'
import type { TagRecords } from '../../../storage/metadata/tag-records.ts'
import type { TagRuleRecords } from '../../../storage/metadata/tag-rule-records.ts'
import type { TenantRecords } from '../../../storage/metadata/tenant-records.ts'
import type { UsageRecords } from '../../../storage/metadata/usage-records.ts'
import type { BackupId } from '../../../storage/objects/keys.ts'
import type { AccessPolicy } from '../../auth/access-policy.ts'
import type { PasswordHasher } from '../../auth/identities/password.ts'
import type { IdentityProvider } from '../../auth/identity.ts'
import type { TickReport } from '../../collect/collector.ts'
import type { MirrorJobs } from '../../mirror/mirror-jobs.ts'
import type { WishMirrorRun } from '../../mirror/wishes.ts'
import type { PolicySource } from '../../retention/policies.ts'
import type { RetentionTick } from '../../retention/retention-ticker.ts'
import type { ScrubReport, ScrubRequest } from '../../scrub/scrubber.ts'
import type { Actor, Standing } from '../actor.ts'
import type { AdminOperation, AdminOutput, CheckedInput } from '../administration.ts'

export type AdminMetadata = TenantRecords &
  AccountRecords &
  CredentialRecords &
  Pick<UsageRecords, 'getUsage'> &
  Pick<
    RepositoryChangeRecords,
    | 'listRepositoryStates'
    | 'describeRepository'
    | 'deleteRepository'
    | 'restoreRepository'
    | 'purgeRepository'
    | 'renameRepository'
  > &
  TagRuleRecords &
  Pick<AuditRecords, 'listAudit'> &
  Omit<HistoryRecords, 'forgetDeletedManifests' | 'forgetTagHistory'> &
  Pick<RepositoryRecords, 'hasRepository'> &
  Pick<TagRecords, 'deleteTag'> &
  Pick<BackupRecords, 'isBackupLeased'> &
  Pick<
    RetentionRecords,
    | 'addRetentionPolicy'
    | 'removeRetentionPolicy'
    | 'listRetentionPolicies'
    | 'retentionState'
    | 'listTagFacts'
    | 'listUntagged'
    | 'setTagExpiry'
  > &
  SettingRecords &
  Pick<MirrorJobRecords, 'listMirrorWishes' | 'isMirrorJobLeased'> &
  Pick<MirrorRunRecords, 'getMirrorRun' | 'listMirrorRuns' | 'listMirrorResults'> &
  Pick<
    CollectRecords,
    | 'collectState'
    | 'countWaiting'
    | 'pauseCollection'
    | 'resumeCollection'
    | 'holdersOf'
    | 'namersOf'
    | 'findGarbageOf'
  > &
  Pick<ScrubProgressRecords, 'scrubState'> &
  Pick<BlobFaultRecords, 'listFaults' | 'findFault' | 'countFaults'> &
  Pick<StrayRecords, 'listStrays' | 'countStrays'>

/** What administration works on. */
export interface AdminParts {
  readonly metadata: AdminMetadata
  readonly hasher: PasswordHasher
  /** Of new hashes; as for logins unless given. */
  readonly passwordCost?: number | undefined
  /** Checks the present password of those who change their own. */
  readonly identities: Pick<IdentityProvider, 'verify'>
  /** Says who is an admin, and who may do what with repositories. */
  readonly policy: Pick<AccessPolicy, 'isAdmin' | 'decide'>
  /** Keys that access tokens are signed with; newest first. */
  readonly keys: {
    list(options?: Abortable): Promise<readonly Pick<SigningKey, 'id' | 'createdAt'>[]>
    /** @param options `forgetOld`: tokens that old keys have signed end with this. */
    rotate(
      options?: Abortable & { readonly forgetOld?: boolean | undefined },
    ): Promise<readonly Pick<SigningKey, 'id' | 'createdAt'>[]>
  }
  /** @throws DomainError `invalid` for a text that is no trust policy. */
  readonly checkTrustPolicy: (text: string, tenant: TenantName) => Promise<void>
  readonly mirror: {
    readonly jobs: Pick<MirrorJobs, 'list' | 'get' | 'put' | 'remove'>
    readonly wish: WishMirrorRun
  }
  /** `registry.readOnly`. */
  readonly isReadOnly: boolean
  /** Below these (`docker.io`) are copies of upstreams, and nothing else. */
  readonly upstreamPrefixes: readonly string[]
  readonly retention: {
    /** Whether it goes on by itself. */
    readonly isEnabled: boolean
    /** A cron expression, in UTC. */
    readonly schedule: string
    readonly source: Omit<PolicySource, 'records'>
    /** Applies all policies, for some seconds. */
    readonly tick: (options: Abortable) => Promise<RetentionTick>
  }
  readonly backup: {
    /** `backup.everyHours`. */
    readonly everyHours: number
    list(options: Abortable): Promise<readonly BackupRecord[]>
    /** Undefined when it takes longer than anybody should wait; then it goes on. @throws DomainError `busy`. */
    run(options: Abortable): Promise<BackupRecord | undefined>
    /** As {@link run}; who asks again waits for the same, and is told how it has ended. */
    verify(id: BackupId, options: Abortable): Promise<BackupRecord | undefined>
  }
  readonly collect: {
    /** `collect.enabled`. */
    readonly isEnabled: boolean
    /** Collects what is due, whatever the time of day, for some seconds. */
    readonly tick: (options: Abortable) => Promise<TickReport>
  }
  readonly scrub: {
    /** `scrub.bytesPerSecond`. */
    readonly bytesPerSecond: number
    /** Checks what is stored, whatever the time of day, for some seconds. */
    readonly tick: (asked: ScrubRequest, options: Abortable) => Promise<ScrubReport>
  }
}

/** What is known of a call, whatever it asks for. */
export interface Call extends Abortable {
  readonly actor: Actor
  readonly standing: Standing
}

/** What the operations of these names do. Whether the caller may is known by then. */
export type Implementations<Names extends AdminOperation> = {
  readonly [Name in Names]: (input: CheckedInput<Name>, call: Call) => Promise<AdminOutput<Name>>
}

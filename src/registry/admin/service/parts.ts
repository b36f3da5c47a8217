import type { Abortable } from '../../../storage/abortable.ts'
import type { TenantName } from '../../../storage/accounts/names.ts'
import type {
  AccountRecords,
  CredentialRecords,
  SigningKey,
} from '../../../storage/metadata/account-records.ts'
import type { CollectRecords } from '../../../storage/metadata/collect-records.ts'
import type { AuditRecords } from '../../../storage/metadata/audit-records.ts'
import type { TagRuleRecords } from '../../../storage/metadata/tag-rule-records.ts'
import type { TenantRecords } from '../../../storage/metadata/tenant-records.ts'
import type { UsageRecords } from '../../../storage/metadata/usage-records.ts'
import type { MirrorJobRecords, MirrorRunRecords } from '../../../storage/metadata/mirror-records.ts'
import type { AccessPolicy } from '../../auth/access-policy.ts'
import type { PasswordHasher } from '../../auth/identities/password.ts'
import type { IdentityProvider } from '../../auth/identity.ts'
import type { TickReport } from '../../collect/collector.ts'
import type { MirrorJobs } from '../../mirror/mirror-jobs.ts'
import type { WishMirrorRun } from '../../mirror/wishes.ts'
import type { Actor, Standing } from '../actor.ts'
import type { AdminOperation, AdminOutput, CheckedInput } from '../administration.ts'

export type AdminMetadata = TenantRecords &
  AccountRecords &
  CredentialRecords &
  Pick<UsageRecords, 'getUsage'> &
  TagRuleRecords &
  Pick<AuditRecords, 'listAudit'> &
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
  >

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
  readonly collect: {
    /** `collect.enabled`. */
    readonly isEnabled: boolean
    /** Collects what is due, whatever the time of day, for some seconds. */
    readonly tick: (options: Abortable) => Promise<TickReport>
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

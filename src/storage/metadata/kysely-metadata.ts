import { KyselyAccess } from './access-facts.ts'
import type { AccountRecords, CredentialRecords, SigningKeyRecords } from './account-records.ts'
import { KyselyAccounts } from './accounts.ts'
import { KyselyAdoption } from './adoption.ts'
import type { AdoptionRecords } from './adoption-records.ts'
import { KyselyAudit } from './audit.ts'
import type { AuditRecords } from './audit-records.ts'
import { KyselyBackups } from './backup-leases.ts'
import type { BackupRecords } from './backup-records.ts'
import type { BlobRecords } from './blob-records.ts'
import { KyselyBlobs } from './blobs.ts'
import { KyselyCollect } from './collect.ts'
import type { CollectRecords } from './collect-records.ts'
import { KyselyCredentials } from './credentials.ts'
import type { Database } from './database.ts'
import { KyselyEventEndpoints } from './event-endpoints.ts'
import type { EventEndpointRecords, EventRecords } from './event-records.ts'
import { EventWriter } from './event-writer.ts'
import { KyselyEvents } from './events.ts'
import { KyselyGarbage } from './garbage.ts'
import type { GarbageRecords } from './garbage-records.ts'
import { KyselyGrants } from './grants.ts'
import { KyselyHistory } from './history.ts'
import type { HistoryRecords } from './history-records.ts'
import { defaultKeepTimes, type KeepTimes } from './keep-times.ts'
import { LinkWriter } from './link-writer.ts'
import type { ManifestRecords } from './manifest-records.ts'
import { KyselyManifests } from './manifests.ts'
import { KyselyMembers } from './members.ts'
import type { Metadata } from './metadata.ts'
import { KyselyMirrorJobs } from './mirror-jobs.ts'
import type { MirrorJobRecords, MirrorRunRecords } from './mirror-records.ts'
import type { TransferRecords } from './transfer-records.ts'
import type { UpstreamRecords } from './upstream-records.ts'
import { KyselyMirrorRuns } from './mirror-runs.ts'
import type { ParentRecords } from './parent-records.ts'
import { KyselyParents } from './parents.ts'
import { Releases } from './releases.ts'
import { KyselyRepositories } from './repositories.ts'
import { KyselyRepositoryChanges } from './repository-changes.ts'
import type { RepositoryChangeRecords, RepositoryRecords } from './repository-records.ts'
import { KyselyRetention } from './retention.ts'
import type { RetentionRecords } from './retention-records.ts'
import { KyselyScrub } from './scrub.ts'
import type { ScrubRecords } from './scrub-records.ts'
import type { SettingRecords } from './setting-records.ts'
import { KyselySettings } from './settings.ts'
import { KyselySigningKeys } from './signing-keys.ts'
import type { TagRecords } from './tag-records.ts'
import type { TagRuleRecords } from './tag-rule-records.ts'
import { KyselyTagRules } from './tag-rules.ts'
import { KyselyTags } from './tags.ts'
import type { AccessRecords, GrantRecords, MemberRecords, TenantList } from './tenant-records.ts'
import { KyselyTenants } from './tenants.ts'
import { KyselyTransfers } from './transfers.ts'
import type { UploadRecords } from './upload-records.ts'
import { KyselyUploads } from './uploads.ts'
import { KyselyUpstream } from './upstream.ts'
import { KyselyUsage } from './usage.ts'
import type { UsageRecords } from './usage-records.ts'
import { UsageWriter } from './usage-writer.ts'

/** Milliseconds since 1970. */
export type Clock = () => number

/** All roles over one database. What each one does is in the file of its own. */
export function kyselyMetadata(database: Database, now: Clock, keep: KeepTimes = defaultKeepTimes): Metadata {
  const events = new EventWriter(database)
  const usage = new UsageWriter(database)
  const links = new LinkWriter(usage, now, keep)
  const releases = new Releases(links, now, keep)
  const repositories = new KyselyRepositories(database)
  const tenants = new KyselyTenants(database, now)
  return {
    ping: options => database.ping(options),
    changeMark: () => database.changeMark(),
    [Symbol.asyncDispose]: () => database.close(),
    ...methodsOf<RepositoryRecords>(repositories),
    ...methodsOf<RepositoryChangeRecords>(
      new KyselyRepositoryChanges(database, { events, usage, links, releases, times: keep }, now),
    ),
    ...methodsOf<ManifestRecords>(
      new KyselyManifests(database, { events, usage, releases, times: keep }, now),
    ),
    ...methodsOf<ParentRecords>(new KyselyParents(database)),
    ...methodsOf<TagRecords>(new KyselyTags(database, repositories, { events, releases }, now)),
    ...methodsOf<BlobRecords>(new KyselyBlobs(database, { events, usage, links, times: keep }, now)),
    ...methodsOf<UploadRecords>(new KyselyUploads(database, now)),
    ...methodsOf<GarbageRecords>(new KyselyGarbage(database, now)),
    ...methodsOf<AdoptionRecords>(
      new KyselyAdoption(database, { events, usage, links, releases, times: keep }, now),
    ),
    ...methodsOf<EventRecords>(new KyselyEvents(database, events)),
    ...methodsOf<EventEndpointRecords>(new KyselyEventEndpoints(database, now)),
    ...methodsOf<SettingRecords>(new KyselySettings(database)),
    ...methodsOf<TenantList>(tenants),
    ...methodsOf<MemberRecords>(new KyselyMembers(database, tenants, now)),
    ...methodsOf<GrantRecords>(new KyselyGrants(database, tenants, now)),
    ...methodsOf<AccessRecords>(new KyselyAccess(database)),
    ...methodsOf<AccountRecords>(new KyselyAccounts(database, now)),
    ...methodsOf<CredentialRecords>(new KyselyCredentials(database, now)),
    ...methodsOf<SigningKeyRecords>(new KyselySigningKeys(database)),
    ...methodsOf<UsageRecords>(new KyselyUsage(database, now)),
    ...methodsOf<TagRuleRecords>(new KyselyTagRules(database, now)),
    ...methodsOf<AuditRecords>(new KyselyAudit(database)),
    ...methodsOf<MirrorJobRecords>(new KyselyMirrorJobs(database, { events }, now)),
    ...methodsOf<MirrorRunRecords>(new KyselyMirrorRuns(database, { events }, now)),
    ...methodsOf<TransferRecords>(new KyselyTransfers(database)),
    ...methodsOf<BackupRecords>(new KyselyBackups(database, now)),
    ...methodsOf<CollectRecords>(
      new KyselyCollect(database, { events, usage, links, releases, times: keep }, now),
    ),
    ...methodsOf<ScrubRecords>(new KyselyScrub(database, keep.keepDamagedMs, now)),
    ...methodsOf<RetentionRecords>(new KyselyRetention(database, { events, releases }, now)),
    ...methodsOf<HistoryRecords>(
      new KyselyHistory(database, { events, usage, links, releases, times: keep }, now),
    ),
    ...methodsOf<UpstreamRecords>(new KyselyUpstream(database, events, links, now)),
  }
}

type Method = (this: unknown, ...args: unknown[]) => unknown

/**
 * The methods of a role as properties of a plain object, so that objects of several roles can be put together, and the
 * compiler misses those that are left out.
 */
function methodsOf<Role extends object>(role: Role): Role {
  const methods: Record<string, Method> = {}
  const prototype: Record<string, PropertyDescriptor> = Object.getOwnPropertyDescriptors(
    Object.getPrototypeOf(role),
  )
  for (const [name, { value }] of Object.entries(prototype))
    if (name !== 'constructor' && typeof value === 'function') methods[name] = (value as Method).bind(role)
  // A role has nothing but methods.
  return methods as Role
}

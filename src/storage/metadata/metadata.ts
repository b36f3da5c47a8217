import type { Abortable } from '../abortable.ts'
import type { AccountName, TenantName } from '../accounts/names.ts'
import type { UploadId } from '../blobs/blob-store.ts'
import type { Digest, DigestAlgorithm } from '../digest.ts'
import type { ManifestEdge } from '../manifest.ts'
import type { ManifestMediaType } from '../media-types.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { UploadedPart } from '../objects/object-store.ts'
import type { Reference, RepositoryName, Tag } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import type { AccountRecords, CredentialRecords, SigningKeyRecords } from './account-records.ts'
import type { AdoptionRecords } from './adoption-records.ts'
import type { AuditRecords } from './audit-records.ts'
import type { CollectRecords } from './collect-records.ts'
import type { EventEndpointRecords, EventRecords } from './event-records.ts'
import type { ManifestCondition } from './manifest-condition.ts'
import type { MirrorRecords, TransferRecords, UpstreamRecords } from './mirror-records.ts'
import type { ParentRecords } from './parent-records.ts'
import type { SettingRecords } from './setting-records.ts'
import type { TagRuleRecords } from './tag-rule-records.ts'
import type { TenantRecords } from './tenant-records.ts'
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
    AsyncDisposable {
  /** Resolves when the database answers. @throws DomainError `unavailable`. */
  ping(options?: Abortable): Promise<void>
}

export interface RepositoryRecords {
  /** Whether anything was ever stored under this name. */
  hasRepository(name: RepositoryName, options?: Abortable): Promise<boolean>
  /** Names in byte order. */
  listRepositories(page: Page, options?: Abortable): Promise<RepositoryName[]>
  /**
   * Names, in byte order, of the repositories that the viewer may see, and of some that it may not: all of tenants that
   * are public, where it is a member, or where a grant is for it, and single ones that are public. Which of them it may
   * pull from is for `registry/auth/` to say. What belongs to no tenant is never among them.
   */
  listRepositoriesOf(
    account: AccountName | null,
    page: VisiblePage,
    options?: Abortable,
  ): Promise<RepositoryName[]>
}

export interface ManifestRecords {
  /**
   * Stores the manifest, its edges and its tags together, and makes the repository exist.
   * @throws DomainError `missing_reference` when a required edge's blob is not linked in the repository (a child of
   * an index may be a manifest of the repository instead); `conflict` when the condition does not hold; `invalid`
   * when a media type has a NUL character in it.
   */
  putManifest(repository: RepositoryName, manifest: NewManifest, options?: PutManifestOptions): Promise<void>
  /** A tag answers with the digest that it was set with. @throws DomainError `not_found`. */
  getManifest(repository: RepositoryName, reference: Reference, options?: Abortable): Promise<StoredManifest>
  /** As {@link getManifest}, without the bytes. @throws DomainError `not_found`. */
  statManifest(repository: RepositoryName, reference: Reference, options?: Abortable): Promise<ManifestInfo>
  /**
   * Removes the manifest and every tag that points at it. What it named, and its referrers, are looked at by the garbage
   * collection later. @throws DomainError `not_found`.
   */
  deleteManifest(repository: RepositoryName, digest: Digest, options?: ChangeOptions): Promise<void>
  /**
   * The manifests of the repository that name `subject` as their subject, newest first. Neither the subject nor the
   * repository need exist.
   */
  listReferrers(
    repository: RepositoryName,
    subject: Digest,
    page: ReferrerPage,
    options?: Abortable,
  ): Promise<ReferrerList>
}

export interface TagRecords {
  /** Tags in byte order. @throws DomainError `not_found` for a repository that does not exist. */
  listTags(repository: RepositoryName, page: Page, options?: Abortable): Promise<Tag[]>
  /** @throws DomainError `not_found`. */
  deleteTag(repository: RepositoryName, tag: Tag, options?: ChangeOptions): Promise<void>
}

export interface BlobRecords {
  /** @throws DomainError `not_found` unless the blob is linked in the repository. */
  findBlob(repository: RepositoryName, digest: Digest, options?: Abortable): Promise<StoredBlob>
  /**
   * Ends an upload: the blob becomes known and linked, the session becomes a tombstone that remembers the digest.
   * When the blob was known already, the earlier object stays and the answer names it; the new one becomes garbage.
   * Makes the repository exist.
   * @throws DomainError `not_found`; `conflict` when `holder` has lost its lease.
   */
  commitBlob(commit: NewBlob, options?: ChangeOptions): Promise<StoredBlob>
  /** @throws DomainError `not_found` unless `from` has the link. */
  linkBlob(link: NewBlobLink, options?: ChangeOptions): Promise<StoredBlob>
  /**
   * The last link takes the blob with it: whoever pushes it again brings its bytes.
   * @throws DomainError `not_found`; `conflict` while a manifest of the repository names it.
   */
  unlinkBlob(repository: RepositoryName, digest: Digest, options?: ChangeOptions): Promise<void>
  /**
   * At most `limit` repositories that have the link, in byte order. For a viewer, only such as it may see, as
   * {@link RepositoryRecords.listRepositoriesOf} means it: so others' cannot fill the list.
   */
  repositoriesWithBlob(digest: Digest, limit: number, options?: BlobSearch): Promise<RepositoryName[]>
}

export interface UploadRecords {
  createUpload(upload: NewUpload, options?: Abortable): Promise<UploadRecord>
  /** @throws DomainError `not_found` when unknown, expired or of another repository. */
  getUpload(repository: RepositoryName, id: UploadId, options?: Abortable): Promise<UploadRecord>
  /**
   * Makes `holder` the only writer until `until`. A holder may extend its own lease. `nextTailKey` is reserved unless
   * a key is; one that was reserved by a holder who never released its lease may be taken, so it becomes garbage.
   * @throws DomainError `not_found`; `busy` while another holder's lease runs; `conflict` when a renewal comes too late.
   */
  leaseUpload(
    repository: RepositoryName,
    id: UploadId,
    lease: UploadLease,
    options?: Abortable,
  ): Promise<LeasedUpload>
  /**
   * Stores how far the session has come. Keys of a tail that it no longer names become garbage.
   * @throws DomainError `conflict` when `holder` has lost its lease.
   */
  saveUpload(id: UploadId, holder: string, progress: UploadProgress, options?: Abortable): Promise<void>
  /** Gives the lease up, if `holder` still has it. */
  releaseUpload(id: UploadId, holder: string, options?: Abortable): Promise<void>
  /** Forgets the session. Absent is success. */
  deleteUpload(id: UploadId, options?: Abortable): Promise<void>
  /** Sessions (tombstones too) that expired before `now` and are not leased, oldest first. */
  expiredUploads(now: Date, limit: number, options?: Abortable): Promise<UploadRecord[]>
  /** Which of these tokens of multipart uploads are a session's. */
  knownMultiparts(tokens: readonly string[], options?: Abortable): Promise<ReadonlySet<string>>
}

/**
 * Objects that nothing names any more. A key is written down in the transaction that lets go of it, so that whoever
 * deletes the object may fail, or die, and still nothing leaks. Keys are never used again, so there is no hurry.
 */
export interface GarbageRecords {
  /** At most `limit` keys of objects that may be deleted by now, those that have waited longest first. */
  listGarbage(limit: number, options?: GarbageSearch): Promise<ObjectKey[]>
  /** Call when their objects have been deleted. Absent keys are success. */
  forgetGarbage(keys: readonly ObjectKey[], options?: Abortable): Promise<void>
  /** Lets all others go first: their objects could not be deleted. Absent keys are success. */
  postponeGarbage(keys: readonly ObjectKey[], options?: Abortable): Promise<void>
}

export interface GarbageSearch extends Abortable {
  /** Only what was never a blob. */
  readonly ofUploads?: boolean | undefined
}

/** A page of a list in byte order: at most `limit` names after `after`. */
export interface Page {
  readonly limit: number
  readonly after?: string | undefined
}

/** Who looks for something. */
export interface Viewer {
  /** Null: nobody in particular. */
  readonly account: AccountName | null
  /** Where it is a member by what an OpenID provider says, beside those of the database. */
  readonly tenants?: readonly TenantName[] | undefined
}

export interface VisiblePage extends Page {
  /** As {@link Viewer.tenants}. */
  readonly tenants?: readonly TenantName[] | undefined
}

export interface BlobSearch extends Abortable {
  /** Undefined: one who sees everything. */
  readonly viewer?: Viewer | undefined
  /** Only those below this name; not together with a viewer. */
  readonly below?: RepositoryName | undefined
}

export interface ManifestInfo {
  readonly digest: Digest
  readonly mediaType: ManifestMediaType
  /** Bytes. */
  readonly size: number
}

export interface StoredManifest extends ManifestInfo {
  /** Exactly as they were pushed. */
  readonly bytes: Uint8Array
}

export interface NewManifest extends StoredManifest {
  readonly edges: readonly ManifestEdge[]
  readonly artifactType?: string | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
  readonly tags: readonly Tag[]
}

export interface PutManifestOptions extends ChangeOptions {
  readonly condition?: ManifestCondition | undefined
}

/** Part of a list of referrers. */
export interface ReferrerPage {
  /** Only those of one of these artifact types; when empty, all. */
  readonly artifactTypes: readonly string[]
  /** How much the descriptors may take as JSON. One referrer is given even when it alone takes more. */
  readonly maxBytes: number
  readonly after?: ReferrerPosition | undefined
}

/** Where a list of referrers goes on. It need not exist any more. */
export interface ReferrerPosition {
  /** Milliseconds since 1970. */
  readonly pushedAt: number
  readonly digest: Digest
}

export interface ReferrerList {
  readonly referrers: readonly Referrer[]
  /** Undefined at the end of the list. */
  readonly next?: ReferrerPosition | undefined
}

export interface Referrer extends ManifestInfo {
  readonly artifactType?: string | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

export interface NewBlobLink {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** Undefined: whichever repository has it. */
  readonly from: RepositoryName | undefined
}

export interface StoredBlob {
  readonly digest: Digest
  readonly size: number
  readonly objectKey: ObjectKey
}

export interface NewBlob extends StoredBlob {
  readonly repository: RepositoryName
  readonly uploadId: UploadId
  readonly holder: string
}

export interface NewUpload {
  readonly id: UploadId
  readonly repository: RepositoryName
  readonly algorithm: DigestAlgorithm
  readonly objectKey: ObjectKey
  /** Bytes of every part but the last; fixed for the session's life. */
  readonly partSize: number
  readonly nextTailKey: ObjectKey
  readonly holder: string
  readonly leaseUntil: Date
  readonly expiresAt: Date
  /** Who begins it; null or undefined: nobody in particular. */
  readonly account?: AccountName | null | undefined
}

export interface UploadLease {
  readonly holder: string
  readonly until: Date
  readonly nextTailKey?: ObjectKey | undefined
  /** Who wants to go on: another account's session is not found, and its lease not taken. Undefined: not asked. */
  readonly account?: AccountName | null | undefined
  /** Only if `holder` has it still: another one may have come and gone, and what was known before is out of date then. */
  readonly isRenewal?: boolean | undefined
}

export interface LeasedUpload extends UploadRecord {
  /** Another holder had the lease until it ran out, and may not know that it has: it may still be at work. */
  readonly isTakenOver: boolean
}

export interface UploadProgress {
  /** Bytes stored: all parts and the tail. */
  readonly offset: number
  /** The object store's token; null until the first part. */
  readonly multipartToken: string | null
  readonly parts: readonly UploadedPart[]
  /** Bytes after the last full part, kept as an object of their own; null when there are none. */
  readonly tail: UploadTail | null
  /**
   * Reserved for the next tail, so that the key is known before anything is written under it and a crash leaks
   * nothing; null once it has been taken.
   */
  readonly nextTailKey: ObjectKey | null
  /** State of a resumable digester at `offset`; null when the bytes went through one that cannot be saved. */
  readonly hashState: string | null
  /** Digest of all bytes up to `offset`, when it is known. */
  readonly digestAtOffset: Digest | null
  readonly expiresAt: Date
}

export interface UploadTail {
  readonly objectKey: ObjectKey
  /** Bytes. */
  readonly size: number
  /** Of these bytes, so that they can be trusted when they are read again; null when an older Varve stored them. */
  readonly digest: Digest | null
}

export interface UploadRecord extends UploadProgress {
  readonly id: UploadId
  readonly repository: RepositoryName
  readonly algorithm: DigestAlgorithm
  readonly objectKey: ObjectKey
  readonly partSize: number
  /** Set when the session has been committed: its tombstone. */
  readonly committed: Digest | null
  /** Who began it; null: nobody in particular, so anybody who may push may go on with it. */
  readonly account: AccountName | null
}

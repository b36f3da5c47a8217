import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { ObjectInfo } from '../objects/object-store.ts'
import type { RepositoryName } from '../reference.ts'
import type { StoredBlob } from './blob-records.ts'

/**
 * CONTRACT. What a scrub finds out about blobs and objects. A blob that is at fault is quarantined: to every reader it is
 * not there, and no manifest may newly name it, so that whoever pushes it brings its bytes, which heals it (`commitBlob`).
 * The executable half is `test/contract/metadata-scrub.ts`.
 */
export interface ScrubRecords extends ScrubProgressRecords, BlobFaultRecords, StrayRecords {}

/** How far a scrub has come. */
export interface ScrubProgressRecords {
  leaseScrub(lease: ScrubLease, options?: Abortable): Promise<boolean>
  releaseScrub(holder: string, options?: Abortable): Promise<void>
  scrubState(options?: Abortable): Promise<ScrubState>
  /**
   * Begins a pass where none is under way, or where the one that was has stopped; one that is under way goes on.
   * @param takesAll that pass, a stopped one too, goes on however many blobs are missing.
   */
  requestScrub(takesAll: boolean, options?: Abortable): Promise<void>
  /** False when another pass has begun meanwhile, and nothing was saved. */
  saveScrub(progress: ScrubProgress, options?: Abortable): Promise<boolean>
  /** Blobs in byte order of the digest, those after one, quarantined ones too. */
  listBlobs(after: Digest | undefined, limit: number, options?: Abortable): Promise<ScrubbedBlob[]>
}

export interface BlobFaultRecords {
  /**
   * Quarantines the blob, if its object is still this one. Answers whether it did now; false also when it was already.
   */
  quarantineBlob(fault: NewBlobFault, options?: Abortable): Promise<boolean>
  /**
   * Gives a quarantined blob an object that was found to have its bytes: its own, or a stray, which is none then. The old
   * object becomes garbage. False when the blob is healed or gone, or the stray is.
   */
  healBlob(digest: Digest, object: ObjectInfo, options?: Abortable): Promise<boolean>
  /** Faults that nobody has healed yet, by digest, with some of the repositories that have the blob. */
  listFaults(after: Digest | undefined, limit: number, options?: Abortable): Promise<BlobFault[]>
  findFault(digest: Digest, options?: Abortable): Promise<BlobFault | undefined>
  countFaults(options?: Abortable): Promise<FaultCounts>
  /** Quarantined blobs of this size: of what bytes of unknown meaning may be. */
  faultsOfSize(size: number, limit: number, options?: Abortable): Promise<Digest[]>
  /** Whether the repository has a blob that is quarantined. */
  hasFaults(repository: RepositoryName, options?: Abortable): Promise<boolean>
}

/** Objects that no row names. */
export interface StrayRecords {
  /**
   * Which of these objects no row names: no blob, no upload (its pieces, tails and what it has reserved), no garbage, no
   * fault. An object that is just being written is in one of them.
   */
  unknownObjects(keys: readonly ObjectKey[], options?: Abortable): Promise<ReadonlySet<ObjectKey>>
  /** Writes down objects that no row names; those that are known stay as they are. Answers how many are new. */
  noteStrays(objects: readonly ObjectInfo[], options?: Abortable): Promise<number>
  /** Of its bytes, once they were read. Counts it as a stray. */
  noteStrayDigest(key: ObjectKey, digest: Digest, options?: Abortable): Promise<void>
  /** By key. */
  listStrays(after: ObjectKey | undefined, limit: number, options?: Abortable): Promise<StrayObject[]>
  /** Those that were found before, whose bytes nobody has read yet, by key. */
  unreadStrays(
    before: Date,
    after: ObjectKey | undefined,
    limit: number,
    options?: Abortable,
  ): Promise<StrayObject[]>
  /** Those of the blob's size that may have its bytes: that have its digest, or none that could be compared. */
  straysFor(
    blob: Pick<StoredBlob, 'digest' | 'size'>,
    limit: number,
    options?: Abortable,
  ): Promise<ObjectInfo[]>
  countStrays(options?: Abortable): Promise<StrayCounts>
  /** They are known after all, or gone. Absent is success. */
  forgetStrays(keys: readonly ObjectKey[], options?: Abortable): Promise<void>
  /**
   * Makes garbage of strays that were found before, were read, and that still no row names, at most `limit`. Answers how
   * many.
   */
  discardStrays(before: Date, limit: number, options?: Abortable): Promise<number>
}

export interface ScrubLease {
  readonly holder: string
  readonly until: Date
}

export interface ScrubbedBlob extends StoredBlob {
  readonly isQuarantined: boolean
}

export type BlobFaultKind = 'corrupt' | 'missing'

export interface NewBlobFault {
  readonly digest: Digest
  readonly objectKey: ObjectKey
  /** `corrupt`: other bytes, or another size; `missing`: the store does not have the object. */
  readonly kind: BlobFaultKind
  /** For people: what was found instead. */
  readonly detail: string
}

export interface BlobFault extends NewBlobFault {
  /** Bytes, as they were pushed. */
  readonly size: number
  readonly foundAt: Date
  /** Some of them, in byte order. */
  readonly repositories: readonly RepositoryName[]
}

/** How many blobs are quarantined. */
export type FaultCounts = Readonly<Record<BlobFaultKind, number>>

export interface StrayObject extends ObjectInfo {
  readonly digest: Digest | null
  readonly foundAt: Date
}

export interface StrayCounts {
  readonly objects: number
  readonly bytes: number
}

/** Where the pass that is under way has come to. */
export type ScrubPlace =
  | { readonly phase: 'blobs'; readonly after: Digest | undefined }
  | { readonly phase: 'objects'; readonly after: ObjectKey | undefined }

export interface ScrubTotals {
  /** That were read, and their bytes. */
  readonly blobs: number
  readonly bytes: number
  readonly corrupt: number
  readonly missing: number
  readonly strays: number
  readonly healed: number
}

/** Of the pass that began last. */
export interface ScrubPass {
  /** Counts them. */
  readonly number: number
  /** Blobs that there were when it began. */
  readonly known: number
  /** That it has looked at. */
  readonly blobs: number
  /** That it found missing, and that were not before. */
  readonly missing: number
  /** Whether it goes on however many are missing. */
  readonly takesAll: boolean
  /** When it stopped because too many are. */
  readonly stoppedAt: Date | null
}

export interface ScrubState {
  /** Of the last pass that began. */
  readonly beganAt: Date | null
  /** Of the last pass that ended. */
  readonly endedAt: Date | null
  /** Null between passes. */
  readonly place: ScrubPlace | null
  readonly pass: ScrubPass
  /** Since there was a database. */
  readonly totals: ScrubTotals
}

export interface ScrubProgress {
  /** {@link ScrubPass.number}. */
  readonly pass: number
  /** Null ends the pass. */
  readonly place: ScrubPlace | null
  /** Whether it stops here, because too many blobs are missing. */
  readonly isStopped?: boolean | undefined
  /** Since it was saved last. */
  readonly blobs: number
  readonly bytes: number
  readonly missing: number
}

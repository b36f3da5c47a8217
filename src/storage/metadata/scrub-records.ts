import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { ObjectInfo } from '../objects/object-store.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { RepositoryName } from '../reference.ts'
import type { StoredBlob } from './metadata.ts'

/**
 * CONTRACT. What a scrub finds out about blobs and objects. A blob that is at fault is quarantined: to every reader it is
 * not there, and no manifest may newly name it, so that whoever pushes it brings its bytes, which heals it (`commitBlob`).
 * The executable half is `test/contract/metadata-scrub.ts`.
 */
export interface ScrubRecords {
  leaseScrub(lease: ScrubLease, options?: Abortable): Promise<boolean>
  releaseScrub(holder: string, options?: Abortable): Promise<void>
  scrubState(options?: Abortable): Promise<ScrubState>
  saveScrub(progress: ScrubProgress, options?: Abortable): Promise<void>

  /** Blobs in byte order of the digest, those after one, quarantined ones too. */
  listBlobs(after: Digest | undefined, limit: number, options?: Abortable): Promise<ScrubbedBlob[]>
  /**
   * Quarantines the blob, if its object is still this one. Answers whether it did now; false also when it was already.
   */
  quarantineBlob(fault: NewBlobFault, options?: Abortable): Promise<boolean>
  /** Gives a quarantined blob another object that was found to have its bytes. The old object becomes garbage. */
  healBlob(digest: Digest, object: ObjectInfo, options?: Abortable): Promise<boolean>
  /** Faults that nobody has healed yet, by digest, with some of the repositories that have the blob. */
  listFaults(after: Digest | undefined, limit: number, options?: Abortable): Promise<BlobFault[]>

  /**
   * Which of these objects no row names: no blob, no upload (its pieces, tails and what it has reserved), no garbage, no
   * fault. An object that is just being written is in one of them.
   */
  unknownObjects(keys: readonly ObjectKey[], options?: Abortable): Promise<ReadonlySet<ObjectKey>>
  /** Writes down objects that no row names; those that are known stay as they are. Answers how many are new. */
  noteStrays(objects: readonly ObjectInfo[], options?: Abortable): Promise<number>
  noteStrayDigest(key: ObjectKey, digest: Digest, options?: Abortable): Promise<void>
  listStrays(after: ObjectKey | undefined, limit: number, options?: Abortable): Promise<StrayObject[]>
  /** Makes garbage of strays that were found before and that still no row names, at most `limit`. Answers how many. */
  discardStrays(before: Date, limit: number, options?: Abortable): Promise<number>
}

export interface ScrubLease {
  readonly holder: string
  readonly until: Date
}

export interface ScrubbedBlob extends StoredBlob {
  readonly isQuarantined: boolean
}

export interface NewBlobFault {
  readonly digest: Digest
  readonly objectKey: ObjectKey
  /** `corrupt`: other bytes, or another size; `missing`: the store does not have the object. */
  readonly kind: 'corrupt' | 'missing'
  /** For people: what was found instead. */
  readonly detail: string
}

export interface BlobFault extends NewBlobFault {
  readonly size: number
  readonly foundAt: Date
  /** Some of them, in byte order. */
  readonly repositories: readonly RepositoryName[]
}

export interface StrayObject extends ObjectInfo {
  readonly digest: Digest | null
  readonly foundAt: Date
}

/** Where the pass that is under way has come to. */
export interface ScrubPlace {
  readonly phase: 'blobs' | 'objects'
  readonly cursor: Digest | ObjectKey | null
}

export interface ScrubTotals {
  readonly blobs: number
  readonly bytes: number
  readonly corrupt: number
  readonly missing: number
  readonly strays: number
  readonly healed: number
}

export interface ScrubState {
  /** Of the last pass that began. */
  readonly beganAt: Date | null
  /** Of the last pass that ended. */
  readonly endedAt: Date | null
  /** Null between passes. */
  readonly place: ScrubPlace | null
  /** Since there was a database. */
  readonly totals: ScrubTotals
}

export interface ScrubProgress {
  /** Null ends the pass. */
  readonly place: ScrubPlace | null
  /** Whether a pass begins with this. */
  readonly begins?: boolean | undefined
  /** What is added to the totals. */
  readonly done: Partial<ScrubTotals>
}

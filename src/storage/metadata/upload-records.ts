import type { Abortable } from '../abortable.ts'
import type { AccountName } from '../accounts/names.ts'
import type { UploadId } from '../blobs/blob-store.ts'
import type { Digest, DigestAlgorithm } from '../digest.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { UploadedPart } from '../objects/object-store.ts'
import type { RepositoryName } from '../reference.ts'

/** CONTRACT. Upload sessions. The executable half is `test/contract/metadata-uploads.ts`. */
export interface UploadRecords {
  createUpload(upload: NewUpload, options?: Abortable): Promise<UploadRecord>
  /** @throws DomainError `not_found` when unknown, expired or of another repository. */
  getUpload(repository: RepositoryName, id: UploadId, options?: Abortable): Promise<UploadRecord>
  /**
   * Makes `holder` the only writer until `until`. A holder may extend its own lease. `nextTailKey` is reserved unless
   * a key is; one that was reserved by a holder who never released its lease may be taken, so it becomes garbage.
   * @throws DomainError `not_found`; `busy` while another holder's lease runs, unless that ends more than five minutes after
   * this one would: a clock was wrong when it was given; `conflict` when a renewal comes too late.
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
  /**
   * Takes a session that {@link expiredUploads} would list away from everybody, whatever their clocks say: nobody leases or
   * commits it afterwards. It stays listed until it is deleted. May be repeated.
   * @returns the session as it is then; undefined when it is not there or not one to list any more
   */
  claimExpiredUpload(id: UploadId, now: Date, options?: Abortable): Promise<UploadRecord | undefined>
  /** Which of these tokens of multipart uploads are a session's. */
  knownMultiparts(tokens: readonly string[], options?: Abortable): Promise<ReadonlySet<string>>
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

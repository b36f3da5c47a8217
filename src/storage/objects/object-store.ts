import type { Readable } from 'node:stream'
import type { Abortable } from '../abortable.ts'
import type { ObjectKey } from './keys.ts'

/**
 * CONTRACT. Immutable, opaque objects under keys that are never used twice.
 *
 * Only what S3, Manta's S3 layer and a directory can all do: no rename, no copy, no listing by delimiter.
 * Metadata never lives here; the database knows which object means what. The executable half of this
 * definition is `test/contract/object-store.ts`.
 *
 * The life of an object: invisible until `put` or `complete` resolves, then readable by everyone, for ever,
 * until `delete`. A `put` or an upload that fails leaves nothing under its key.
 *
 * Every method rejects with DomainError `unavailable` when the store does not answer and `no_space` when it
 * is full; with the signal's reason when aborted.
 */
export interface ObjectStore {
  /** @throws DomainError `not_found`. */
  head(key: ObjectKey, options?: Abortable): Promise<ObjectInfo>
  /** The caller must read or destroy the stream. @throws DomainError `not_found`, `out_of_range`. */
  get(key: ObjectKey, options?: GetOptions): Promise<ObjectBody>
  /** Writes a whole object. @throws DomainError `already_exists` when `ifAbsent` and the key is taken. */
  put(key: ObjectKey, body: Uint8Array, options?: PutOptions): Promise<ObjectInfo>
  /** Absent keys are success. */
  delete(keys: readonly ObjectKey[], options?: Abortable): Promise<void>
  /**
   * Keys that start with `prefix`, in byte order, after `after`. For sweeps and scrubs, never in a request's path. Backups
   * are among them only when the prefix begins with `backups/`.
   */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>
  createMultipart(key: ObjectKey, options: CreateMultipartOptions): Promise<MultipartUpload>
  /**
   * Continues an upload that this or another process began.
   * @throws DomainError `not_found` when it is gone; where only another request could tell, the upload's next call
   * does.
   */
  resumeMultipart(key: ObjectKey, token: string, options: CreateMultipartOptions): Promise<MultipartUpload>
  /**
   * Continues an upload whose earlier writer may still be at work. What that one sends from now on, or has under way,
   * never gets among the parts that `complete` is given: either it cannot reach them, or `complete` rejects with
   * `invalid` and the parts can be sent again. Keeps the first `keptParts` parts, under the etags that they have; the
   * token may be another one afterwards, and the earlier one is gone then. With the same token, an upload that the
   * earlier writer completes or aborts is gone.
   * @throws DomainError `not_found` when the upload is gone, as {@link resumeMultipart}.
   */
  takeOverMultipart(key: ObjectKey, token: string, options: TakeOverOptions): Promise<MultipartUpload>
  /**
   * What has been begun and neither finished nor given up, in no particular order. Most of it is work in hand: only
   * what is old, and what nobody knows the token of, has been left behind by a crash. For sweeps. Nothing, of a store
   * that cannot list it: records of our own are all that leads to it then.
   */
  unfinished(options?: Abortable): AsyncIterable<UnfinishedWrite>
  /** Resolves when objects can be read and written; one cheap question. @throws DomainError `unavailable`. */
  ping(options?: Abortable): Promise<void>
}

/**
 * One object in parts. Parts are numbered from 1; each has exactly `partSize` bytes, the last one may be
 * shorter. Parts may be sent again (the last one sent counts) and in any order.
 */
export interface MultipartUpload {
  readonly key: ObjectKey
  /** What {@link ObjectStore.resumeMultipart} needs; opaque, at most 1 KiB. */
  readonly token: string
  uploadPart(number: number, body: Uint8Array, options?: Abortable): Promise<UploadedPart>
  /**
   * Makes the object appear, of exactly these parts. Idempotent: completing what is complete is success. That is told
   * by the object's size, so of two lists of parts for one upload one must begin with the other.
   * @throws DomainError `not_found` after an abort; `invalid` for a part that was never sent, or whose bytes have been
   * replaced since.
   */
  complete(parts: readonly UploadedPart[], options?: Abortable): Promise<ObjectInfo>
  /** Drops all parts. Idempotent. */
  abort(options?: Abortable): Promise<void>
}

export interface UnfinishedWrite {
  /** That of the multipart upload, if it is one. */
  readonly token: string
  /** When it was begun, or written to last where the store knows that. */
  readonly since: Date
  /** Frees what it takes up. Idempotent. */
  discard(options?: Abortable): Promise<void>
}

export interface ObjectInfo {
  readonly key: ObjectKey
  /** Bytes. */
  readonly size: number
}

export interface ObjectBody extends ObjectInfo {
  /** The bytes of the range, or all. */
  readonly stream: Readable
}

/** Both ends inclusive, as in HTTP; `last` past the end is cut to the end. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

export interface UploadedPart {
  readonly number: number
  readonly size: number
  /** The store's name for these bytes, compared by nobody but the store. */
  readonly etag: string
}

export interface GetOptions extends Abortable {
  readonly range?: ByteRange | undefined
}

export interface PutOptions extends Abortable {
  readonly ifAbsent?: boolean | undefined
}

export interface ListOptions extends Abortable {
  readonly after?: ObjectKey | undefined
}

export interface CreateMultipartOptions extends Abortable {
  /** Bytes. */
  readonly partSize: number
}

export interface TakeOverOptions extends CreateMultipartOptions {
  /** How many parts, from the first on, must be there afterwards. */
  readonly keptParts: number
}

import type { Readable } from 'node:stream'
import type { Abortable } from '../abortable.ts'
import type { AccountName } from '../accounts/names.ts'
import type { Digest, DigestAlgorithm } from '../digest.ts'
import type { ByteRange } from '../objects/object-store.ts'
import type { RepositoryName } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'

/**
 * CONTRACT. Content-addressed blobs, seen from one repository.
 *
 * A blob exists *for a repository*: bytes that are stored but not linked there are absent
 * (distribution-spec, "Pulling blobs"). The life of a blob: `create` opens an upload session, `write`
 * appends, `commit` checks the digest and makes the blob visible in one transaction. Before `commit`
 * resolves nobody can read it; after that, every replica can. Disposing a writer keeps its session, so that
 * it can be resumed; only `cancel`, expiry or a digest that does not match ends it.
 */
export interface BlobStore {
  repository(name: RepositoryName): RepositoryBlobs
}

export type RepositoryBlobs = BlobProvider & BlobIngester & BlobLinker

export interface BlobProvider {
  /** @throws DomainError `not_found`. */
  stat(digest: Digest, options?: Abortable): Promise<BlobInfo>
  /**
   * The caller must read or destroy the stream. It fails with DomainError `unavailable` when the store breaks off, or
   * gives other bytes where those are checked; before the first byte the call does.
   * @throws DomainError `not_found`, `out_of_range`, `unavailable`.
   */
  open(digest: Digest, options?: OpenBlobOptions): Promise<BlobBody>
  /**
   * A URL of the object store with which anybody can read the blob for a while; undefined where there is none.
   * @throws DomainError `not_found`.
   */
  presign(digest: Digest, expiresInSeconds: number, options?: Abortable): Promise<URL | undefined>
}

export interface BlobIngester {
  create(options?: CreateUploadOptions): Promise<BlobWriter>
  /**
   * Takes the session's lease. @throws DomainError `not_found` for a session that is unknown, expired, finished
   * with another digest, of another repository, or another account's; `busy` while another writer holds it.
   */
  resume(id: UploadId, options?: SessionOptions): Promise<BlobWriter>
  /** Where a session stands, without taking its lease. @throws DomainError `not_found`, as {@link resume}. */
  status(id: UploadId, options?: SessionOptions): Promise<UploadStatus>
}

export interface BlobLinker {
  /**
   * Lets this repository serve a blob that another one holds (a cross-repository mount).
   * @param from undefined: whichever repository holds it.
   * @throws DomainError `not_found` when `from` does not hold it.
   */
  link(digest: Digest, from: RepositoryName | undefined, options?: ChangeOptions): Promise<BlobInfo>
}

export interface BlobWriter extends AsyncDisposable {
  readonly id: UploadId
  /** Bytes that are stored so durably that any replica can continue after them. */
  readonly offset: number
  /** Set when the session has become a blob already, and can only be committed again. */
  readonly committed: Digest | undefined
  /**
   * Appends a body and returns the new offset. A body that breaks off keeps what arrived.
   * @throws DomainError `out_of_range` when `at` is not the offset, `size_mismatch` when the body does not have
   * `length` bytes; the session survives both.
   */
  write(body: Readable, options?: WriteOptions): Promise<number>
  /**
   * Makes the blob visible. Repeating it with the same digest is success.
   * @throws DomainError `digest_mismatch` (ends the session), `size_mismatch`.
   */
  commit(options: CommitOptions): Promise<BlobInfo>
  /** Drops the session and its bytes. Idempotent. @throws DomainError `not_found` when it has become a blob. */
  cancel(options?: Abortable): Promise<void>
}

export type UploadId = string & { readonly __brand: 'UploadId' }

export interface BlobInfo {
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
}

export interface BlobBody extends BlobInfo {
  readonly stream: Readable
}

export interface UploadStatus {
  readonly id: UploadId
  readonly offset: number
}

export interface OpenBlobOptions extends Abortable {
  readonly range?: ByteRange | undefined
}

export interface SessionOptions extends Abortable {
  /**
   * Who begins the session, and so the only one who may go on with it. What nobody in particular (null) has begun anybody
   * may go on with. Undefined: somebody who is not asked.
   */
  readonly account?: AccountName | null | undefined
}

export interface CreateUploadOptions extends SessionOptions {
  /** Which digest the client will close with; sha256 unless it said so. */
  readonly algorithm?: DigestAlgorithm | undefined
}

export interface WriteOptions extends Abortable {
  /** Where the client believes the session stands (Content-Range). Asking for it also makes the hash state durable. */
  readonly at?: number | undefined
  /** Bytes that the client announced. */
  readonly length?: number | undefined
}

export interface CommitOptions extends ChangeOptions {
  readonly digest: Digest
  /** Bytes, when the client said so. */
  readonly size?: number | undefined
}

import type { Abortable } from '../abortable.ts'
import type { BlobBody, BlobInfo, OpenBlobOptions } from '../blobs/blob-store.ts'
import type { Descriptor } from '../descriptor.ts'
import type { Digest } from '../digest.ts'
import type { ManifestInfo, StoredManifest } from '../metadata/manifest-records.ts'
import type { Reference, RepositoryName, Tag } from '../reference.ts'

/**
 * CONTRACT. One repository of images, wherever it is: at a registry elsewhere, in our own stores, in a directory with the
 * OCI image layout. What is read here has been sent by somebody: manifests are checked against the digest that they were
 * asked by, blobs are not, so whoever reads one checks its digest and size. The executable half is
 * `test/contract/image-repository.ts`.
 */
export interface ReadableRepository {
  /** Where it is, for people: `quay.io/acme/web`, `oci:/srv/layout`, and for our own its name. */
  readonly label: string
  /** Digest, type and size, for as little as can be: a HEAD at a registry. @throws DomainError `not_found`. */
  stat(reference: Reference, options?: Abortable): Promise<ManifestInfo>
  /**
   * By digest, the bytes have it. By tag, they have the digest that the answer names.
   * @throws DomainError `not_found`, `digest_mismatch`, `too_large`, `invalid` for what is no manifest.
   */
  get(reference: Reference, options?: Abortable): Promise<StoredManifest>
  /** @throws DomainError `not_found`. */
  statBlob(digest: Digest, options?: Abortable): Promise<BlobInfo>
  /**
   * The bytes, **not verified**; `size` is that of the whole blob, also for a range. The caller reads or destroys the
   * stream. @throws DomainError `not_found`, `out_of_range`.
   */
  openBlob(digest: Digest, options?: OpenBlobOptions): Promise<BlobBody>
  /** In no order that could be relied on. @throws DomainError `not_found` for a repository that is not there. */
  tags(options?: Abortable): AsyncIterable<Tag>
  /**
   * The manifests that name `subject` as their subject, by the referrers API or, where there is none, by the tag that the
   * spec puts in its place. Nothing for a subject that is not there.
   */
  referrers(subject: Digest, options?: Abortable): AsyncIterable<Descriptor>
}

/** One that takes images as well. */
export interface WritableRepository extends ReadableRepository {
  /** Whether the blob is there for this repository already. */
  hasBlob(blob: BlobInfo, options?: Abortable): Promise<boolean>
  /**
   * Has the blob without its bytes coming, from one of these repositories of the same place, or from wherever it has it.
   * Answers false where it cannot. Repositories that do not exist are passed over.
   */
  mountBlob(blob: BlobInfo, from: readonly RepositoryName[], options?: MountBlobOptions): Promise<boolean>
  /**
   * Stores a blob. What was stored of it before, by a process that may have died meanwhile, is not asked for again where
   * the place can keep it; what breaks off is asked for again from where it broke off, a few times.
   * @throws DomainError `digest_mismatch`, `size_mismatch` when the source sends something else; nothing of it is kept.
   */
  putBlob(blob: BlobInfo, open: OpenBlobFrom, options?: PutBlobOptions): Promise<void>
  /**
   * The same bytes, under these tags; by digest alone when there are none. Children that are not there are no obstacle
   * where the place takes sparse indexes. @throws DomainError `missing_reference`, `denied`, `conflict`.
   */
  putManifest(manifest: StoredManifest, tags: readonly Tag[], options?: Abortable): Promise<void>
  /**
   * Whether what is there lacks blobs that it had, because they were damaged. Without it nobody can tell, and what is there
   * is taken to be whole.
   */
  lacksBlobs?(options?: Abortable): Promise<boolean>
  /** @throws DomainError `not_found`, `denied`, `unsupported`. */
  deleteTag(tag: Tag, options?: Abortable): Promise<void>
}

/** A place with many repositories. */
export interface ImageRegistry<Repository extends ReadableRepository = ReadableRepository> {
  /** `host[:port]`, or a word for our own. */
  readonly label: string
  repository(name: RepositoryName): Repository
  /** @throws DomainError `unsupported`, `denied` where there is no catalog. */
  repositories(options?: Abortable): AsyncIterable<RepositoryName>
}

/** Opens the source's blob so that the first byte is the one at `offset`, which is before the end unless it is empty. */
export type OpenBlobFrom = (offset: number, options: Abortable) => Promise<BlobBody['stream']>

export interface MountBlobOptions extends Abortable {
  /**
   * Whether whoever the blob comes from has it. Knowing a digest gives nobody the right to the blob: what our own stores
   * have is given to another repository only after this, and without it only from those that are named. It may be
   * asked again, and is not where there is nothing to be had. A registry elsewhere judges by the credentials that it is asked with.
   */
  readonly isAtSource?: (() => Promise<boolean>) | undefined
}

export interface PutBlobOptions extends MountBlobOptions {
  /**
   * Told as it goes, and at the end: how many bytes of the blob are stored by now, and how many of these did not have to
   * come because they were there. Both are totals, so what is stored shrinks when it has to begin again.
   */
  readonly onStored?: ((bytes: number, ofThem: { readonly kept: number }) => void) | undefined
}

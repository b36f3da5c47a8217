import type { Abortable } from '../abortable.ts'
import type { BlobInfo } from '../blobs/blob-store.ts'
import type { Digest } from '../digest.ts'
import type { ManifestInfo } from '../metadata/metadata.ts'
import type { Platform } from '../platform.ts'
import type { Reference, RepositoryName, Tag } from '../reference.ts'
import type { ReadableRepository, WritableRepository } from './image-repository.ts'

/** What is copied of an image, and how. */
export interface CopyOptions extends Abortable {
  /** Tags at the target; none: by digest alone. */
  readonly tags: readonly Tag[]
  /**
   * Undefined: all of an index. `sparse`: the index as it is, with the children for these platforms only; `single`: the
   * manifest of the one platform in the place of the index, so its digest is another.
   */
  readonly platforms?: { readonly mode: 'sparse' | 'single'; readonly only: readonly Platform[] } | undefined
  readonly referrers?: ReferrerOptions | undefined
  /** Repositories at the target's place that may have the blobs already. */
  readonly mountFrom?: readonly RepositoryName[] | undefined
  /** Blobs at once. */
  readonly concurrency?: number | undefined
  readonly progress?: CopyProgress | undefined
}

export interface ReferrerOptions {
  /** Of the image and of its children, and of those again. */
  readonly include: boolean
  /** Only these; undefined: all. */
  readonly artifactTypes?: readonly string[] | undefined
  /** `sha256-….sig`, `.att`, `.sbom`: what cosign wrote before there were referrers. */
  readonly legacyCosignTags?: boolean | undefined
}

export interface CopyReport {
  /** What the tags name at the target now. */
  readonly manifest: ManifestInfo
  readonly manifestsCopied: number
  readonly blobsCopied: number
  readonly blobsMounted: number
  readonly blobsPresent: number
  /** Of blobs that came. */
  readonly bytes: number
  readonly referrersCopied: number
}

/** Told as it goes; for people and for counts. */
export interface CopyProgress {
  manifest?(digest: Digest, what: 'begun' | 'present' | 'copied'): void
  blob?(blob: BlobInfo, what: 'begun' | 'present' | 'mounted' | 'copied'): void
  /** Bytes of the blob that are at the target, of `blob.size`. */
  bytes?(blob: BlobInfo, stored: number): void
}

/**
 * The signature of the copy engine: an image with all that belongs to it from one place to another. What is at the target
 * already is not asked for. A manifest is put after all that it names, the tags last, so nobody sees half an image.
 * @throws DomainError as the repositories do; `not_found` for a platform that it does not have.
 */
export type CopyImage = (
  source: ReadableRepository,
  reference: Reference,
  target: WritableRepository,
  options: CopyOptions,
) => Promise<CopyReport>

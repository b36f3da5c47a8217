import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { ManifestEdge } from '../manifest.ts'
import type { ManifestMediaType } from '../media-types.ts'
import type { Reference, RepositoryName, Tag } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import type { ManifestCondition } from './manifest-condition.ts'

/** CONTRACT. Manifests and their edges. The executable half is `test/contract/metadata.ts`. */
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
   * Removes the manifest and every tag that points at it. For a time it can be taken back ({@link HistoryRecords}); then
   * what it named, and its referrers, are looked at by the garbage collection. @throws DomainError `not_found`.
   */
  deleteManifest(repository: RepositoryName, digest: Digest, options?: DeleteManifestOptions): Promise<void>
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

export interface DeleteManifestOptions extends ChangeOptions {
  /** Whether it cannot be taken back: it lets go of what it names now. */
  readonly isFinal?: boolean | undefined
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

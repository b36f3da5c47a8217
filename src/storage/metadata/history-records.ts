import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { ManifestMediaType } from '../media-types.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'

/**
 * CONTRACT. What tags named before, and what was deleted and can be taken back. Both are written in the transaction of
 * the change. The executable half is `test/contract/metadata-history.ts`.
 *
 * A deleted manifest is seen by nobody, but keeps what it names, its blobs and the manifests of an index, until it goes:
 * so it comes back whole, its tags and referrers with it.
 */
export interface HistoryRecords {
  /** Changes of the tag, newest first, those before a position; none for a tag that never was. */
  listTagHistory(
    repository: RepositoryName,
    tag: Tag,
    page: HistoryPage,
    options?: Abortable,
  ): Promise<TagChange[]>
  /**
   * Deleted manifests of the repository, those deleted last first, each with the tags that it lost by that. Those after a
   * position in that order, which need not be there any more.
   */
  listDeletedManifests(
    repository: RepositoryName,
    page: DeletedPage,
    options?: Abortable,
  ): Promise<DeletedManifest[]>
  /**
   * Sets the tag to what it named at some time: to `digest`, or, without one, to what it named before its last change.
   * A manifest that was deleted comes back with it, as if it had never been deleted, in a repository that was deleted,
   * too: with the manifests of an index that were deleted, and the referrers that went with it or after it, all without
   * tags. To set it to what it names is success.
   * @throws DomainError `not_found` when the tag never named that, or the manifest is gone; `conflict` for a tag that may
   * not be changed; `missing_reference` when a client has deleted a blob that the manifest names; `denied`, resource
   * `quota`, when the repository would be there again, and its tenant may have no more.
   */
  restoreTag(
    repository: RepositoryName,
    tag: Tag,
    digest: Digest | undefined,
    options?: ChangeOptions,
  ): Promise<RestoredTag>
  /**
   * Brings a deleted manifest back, and what {@link restoreTag} brings with it, without tags. One that is there is success.
   * @throws DomainError as {@link restoreTag}.
   */
  restoreManifest(repository: RepositoryName, digest: Digest, options?: ChangeOptions): Promise<void>
  /**
   * Lets a deleted manifest go now, with the deleted manifests of an index that nothing else names, and takes away the links
   * to the blobs that nothing else in the repository names, whoever was promised that they stay.
   * @throws DomainError `not_found` when it is not among the deleted; `conflict` while another deleted one names it.
   */
  purgeManifest(repository: RepositoryName, digest: Digest, options?: ChangeOptions): Promise<void>
  /** Lets deleted manifests whose time is over go, at most `limit`. Answers how many went. */
  forgetDeletedManifests(limit: number, options?: Abortable): Promise<number>
  /** Forgets changes from before, at most `limit`, but not of tags that went with a manifest that can be taken back. */
  forgetTagHistory(before: Date, limit: number, options?: Abortable): Promise<number>
}

/** `expire`: a rule of the retention, or a time that was set; `rename`: of the repository. */
export type TagCause = 'push' | 'delete' | 'restore' | 'expire' | 'rename'

export interface TagChange {
  /** Greater for later changes. */
  readonly position: number
  readonly cause: TagCause
  /** What it names since then; null: it was deleted. */
  readonly digest: Digest | null
  /** What it named before; null: it was not there. */
  readonly previous: Digest | null
  readonly at: Date
  readonly account: string | null
  /** Whether `digest`, or after a deletion `previous`, is there or can be brought back now. */
  readonly isRestorable: boolean
}

export interface HistoryPage {
  readonly limit: number
  readonly before?: number | undefined
}

export interface DeletedManifest {
  readonly digest: Digest
  readonly mediaType: ManifestMediaType
  /** Bytes. */
  readonly size: number
  readonly deletedAt: Date
  readonly deletedBy: string | null
  readonly goesAt: Date
  readonly tags: readonly Tag[]
  /** False: a client has deleted a blob that it, or what would come back with it, names. */
  readonly isRestorable: boolean
}

export interface DeletedPage {
  readonly limit: number
  readonly after?: DeletedPosition | undefined
}

export interface DeletedPosition {
  /** Milliseconds since 1970. */
  readonly deletedAt: number
  readonly digest: Digest
}

export interface RestoredTag {
  readonly digest: Digest
  /** What the tag named until now; null: it was not there. */
  readonly previous: Digest | null
  /** Whether the manifest had been deleted. */
  readonly wasDeleted: boolean
}

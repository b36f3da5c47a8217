import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { ReferenceRole } from '../manifest.ts'
import type { ManifestMediaType } from '../media-types.ts'
import type { RepositoryName, Tag } from '../reference.ts'

/**
 * CONTRACT. The garbage collection: what was let go of is looked at again after a while, and goes when nothing has
 * named it since. Each method is bounded work that any number of processes may do at the same time, and that may be cut
 * off anywhere. The executable half is `test/contract/metadata-collect.ts`.
 *
 * Whoever was told that something is there (`findBlob`, `linkBlob`, `commitBlob`, `statManifest` by digest …) finds it
 * there for half of {@link KeepTimes.graceMs} at least, unless a client deletes it.
 */
export interface CollectRecords {
  /** Makes `holder` the one who collects, until then; false while somebody else is. A holder may extend its own lease. */
  leaseCollection(lease: CollectLease, options?: Abortable): Promise<boolean>
  releaseCollection(holder: string, options?: Abortable): Promise<void>
  /** Nothing is collected until {@link resumeCollection}, by whichever process. Pausing twice changes nothing. */
  pauseCollection(by: string | null, options?: Abortable): Promise<void>
  resumeCollection(options?: Abortable): Promise<void>
  collectState(options?: Abortable): Promise<CollectState>
  /** How much waits. Counts rows, so it takes a while where there are many. */
  countWaiting(options?: Abortable): Promise<Waiting>
  /** Remembers when it was last looked for work. */
  noteTick(options?: Abortable): Promise<void>

  /** Looks at links whose time has come, oldest first, at most `limit`. */
  reviewLinks(limit: number, options?: Abortable): Promise<LinkReview>
  /** As {@link reviewLinks}, of manifests; one that goes lets go of what it names. */
  reviewManifests(policy: ManifestPolicy, limit: number, options?: Abortable): Promise<ManifestReview>
  /** As {@link reviewLinks}: repositories without a manifest, link or upload vanish. */
  reviewRepositories(limit: number, options?: Abortable): Promise<RepositoryReview>
  /**
   * Brings what has no tag into the queue when a policy for it begins, and forgets that when it ends. Looks at so many
   * repositories; answers whether there are more. The time without a tag counts from now on.
   */
  enqueueUntagged(isWanted: boolean, repositories: number, options?: Abortable): Promise<boolean>

  /**
   * Once a day, in steps of so many rows: brings what nobody has brought into the queue, because a replica of an older
   * version was at work beside this one. Answers whether there are more.
   */
  enqueueForgotten(limit: number, options?: Abortable): Promise<boolean>

  /** Where a digest is a blob or a manifest, by repository; and objects of it that wait to be deleted. */
  holdersOf(digest: Digest, limit: number, options?: Abortable): Promise<Holding[]>
  /** When the object of a blob that is gone may be deleted; undefined when none waits. */
  findGarbageOf(digest: Digest, options?: Abortable): Promise<Date | undefined>
  /**
   * Manifests of the repository that name the digest, those that were deleted and can be taken back apart, and tags of it.
   * At most `limit` of each.
   */
  namersOf(repository: RepositoryName, digest: Digest, limit: number, options?: Abortable): Promise<Namers>
}

export interface CollectLease {
  readonly holder: string
  readonly until: Date
}

export interface ManifestPolicy {
  /** How long a manifest without a tag stays, and never less than the grace; undefined: for ever. */
  readonly untaggedMs: number | undefined
  /** What becomes of referrers whose subject was deleted, and that nothing else names. */
  readonly referrers: 'delete' | 'keep'
}

export interface Review {
  /** How many were looked at; fewer than asked for when there are no more. */
  readonly seen: number
}

export interface LinkReview extends Review {
  readonly links: number
  readonly blobs: number
  /** Of those blobs. */
  readonly bytes: number
}

export interface ManifestReview extends Review {
  readonly manifests: number
}

export interface RepositoryReview extends Review {
  readonly repositories: number
}

export interface CollectState {
  readonly pausedAt: Date | null
  readonly pausedBy: string | null
  readonly tickedAt: Date | null
  /** Since there was a database. */
  readonly totals: CollectTotals
}

/** What has gone. */
export interface CollectTotals {
  readonly links: number
  readonly blobs: number
  readonly manifests: number
  readonly repositories: number
  /** Of blobs; deleted from the object store. */
  readonly objects: number
  /** Of those objects. */
  readonly bytes: number
}

export interface Waiting {
  /** That are to be looked at again, now or later: what was pushed lately, too. */
  readonly links: number
  readonly manifests: number
  /** Objects that are to be deleted, and what is known of their bytes. */
  readonly objects: number
  readonly bytes: number
  /** From when on the longest waiting object might have been deleted; null when none waits. */
  readonly objectsSince: Date | null
  /** Manifests that were deleted and can be taken back. */
  readonly deletedManifests: number
  /** Theirs, and of the blobs that no manifest names that is there: what goes when they have gone. */
  readonly deletedBytes: number
}

export interface Holding {
  readonly repository: RepositoryName
  readonly kind: 'blob' | 'manifest'
  readonly mediaType: ManifestMediaType | null
  /** When it is looked at; null while it is known to be named. */
  readonly reviewAt: Date | null
  /** Of a blob: it stays until then at least. Of a manifest: since when nothing names it, as far as that is known. */
  readonly since: Date
  readonly subject: Digest | null
  /** Of a manifest that was deleted and can be taken back until then; null: it was not. */
  readonly goesAt: Date | null
}

export interface Namers {
  readonly tags: readonly Tag[]
  readonly manifests: readonly Namer[]
  readonly deleted: readonly DeletedNamer[]
}

/** A manifest that was deleted, and until when it can be taken back. */
export interface DeletedNamer {
  readonly digest: Digest
  readonly deletedAt: Date
  readonly goesAt: Date
}

export interface Namer {
  readonly digest: Digest
  readonly role: ReferenceRole
}

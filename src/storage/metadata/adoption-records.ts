import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { StoredBlob } from './blob-records.ts'

/** CONTRACT. For content that another registry has left in its storage, and that no client pushes. */
export interface AdoptionRecords {
  /**
   * Call before the bytes of an object that {@link adoptBlob} shall have are read: if it was let go of here, it is not
   * deleted while that lasts, a grace at most.
   * @throws DomainError `busy` when it is about to be deleted.
   */
  holdObject(key: ObjectKey, options?: Abortable): Promise<void>
  /**
   * Makes an object that is there already, and that nobody else deletes, a blob of the repository, which exists then.
   * When the blob was known already, the earlier object stays and the answer names it; this one is left alone.
   * @throws DomainError `busy` when it was adopted before, was let go of, and is about to be deleted.
   */
  adoptBlob(blob: AdoptedBlob, options?: Abortable): Promise<StoredBlob>
  /**
   * Points a tag at a manifest, unless the tag has been set since it was set over there, so that adopting once more
   * brings what has changed there, and takes back nothing that was pushed here.
   * @throws DomainError `not_found` when the repository has no such manifest.
   */
  adoptTag(tag: AdoptedTag, options?: Abortable): Promise<TagOutcome>
}

export interface AdoptedBlob extends StoredBlob {
  readonly repository: RepositoryName
}

export interface AdoptedTag {
  readonly repository: RepositoryName
  readonly tag: Tag
  readonly digest: Digest
  /** When it was set over there. */
  readonly changedAt: Date
}

/** `kept` is a tag that names another manifest, and was set later or may not be changed. */
export type TagOutcome = 'set' | 'same' | 'kept'

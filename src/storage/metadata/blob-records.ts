import type { Abortable } from '../abortable.ts'
import type { UploadId } from '../blobs/blob-store.ts'
import type { Digest } from '../digest.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { RepositoryName } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import type { Viewer } from './repository-records.ts'

/** CONTRACT. Which blobs there are, and which repository may serve them. The executable half is `test/contract/metadata.ts`. */
export interface BlobRecords {
  /** @throws DomainError `not_found` unless the blob is linked in the repository. */
  findBlob(repository: RepositoryName, digest: Digest, options?: Abortable): Promise<StoredBlob>
  /**
   * Ends an upload: the blob becomes known and linked, the session becomes a tombstone that remembers the digest.
   * When the blob was known already, the earlier object stays and the answer names it; the new one becomes garbage.
   * Makes the repository exist.
   * @throws DomainError `not_found`; `conflict` when `holder` has lost its lease.
   */
  commitBlob(commit: NewBlob, options?: ChangeOptions): Promise<StoredBlob>
  /** @throws DomainError `not_found` unless `from` has the link. */
  linkBlob(link: NewBlobLink, options?: ChangeOptions): Promise<StoredBlob>
  /**
   * The last link takes the blob with it: whoever pushes it again brings its bytes.
   * @throws DomainError `not_found`; `conflict` while a manifest of the repository names it.
   */
  unlinkBlob(repository: RepositoryName, digest: Digest, options?: ChangeOptions): Promise<void>
  /**
   * At most `limit` repositories that have the link, in byte order. For a viewer, only such as it may see, as
   * `listRepositoriesOf` means it: so others' cannot fill the list.
   */
  repositoriesWithBlob(digest: Digest, limit: number, options?: BlobSearch): Promise<RepositoryName[]>
}

export interface BlobSearch extends Abortable {
  /** Undefined: one who sees everything. */
  readonly viewer?: Viewer | undefined
  /** Only those below this name; not together with a viewer. */
  readonly below?: RepositoryName | undefined
}

export interface NewBlobLink {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** Undefined: whichever repository has it. */
  readonly from: RepositoryName | undefined
}

export interface StoredBlob {
  readonly digest: Digest
  readonly size: number
  readonly objectKey: ObjectKey
}

export interface NewBlob extends StoredBlob {
  readonly repository: RepositoryName
  readonly uploadId: UploadId
  readonly holder: string
}

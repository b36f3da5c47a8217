import type { Abortable } from '../abortable.ts'
import type { UploadId } from '../blobs/blob-store.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'

/**
 * CONTRACT. Which upload session holds the bytes of a blob that is being fetched for a repository, so that whoever fetches
 * it next goes on there. The session may have expired meanwhile. The executable half is `test/contract/transfers.ts`.
 */
export interface TransferRecords {
  findTransfer(repository: RepositoryName, digest: Digest, options?: Abortable): Promise<UploadId | undefined>
  /** In the place of another that is known. Forgotten with the session; nothing is noted of one that is gone already. */
  noteTransfer(
    repository: RepositoryName,
    digest: Digest,
    upload: UploadId,
    options?: Abortable,
  ): Promise<void>
  /** Absent is success. */
  forgetTransfer(repository: RepositoryName, digest: Digest, options?: Abortable): Promise<void>
}

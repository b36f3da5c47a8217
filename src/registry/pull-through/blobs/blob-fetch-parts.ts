import type { Logger } from '../../../log.ts'
import type { BlobStore } from '../../../storage/blobs/blob-store.ts'
import type { WritableRepository } from '../../../storage/images/image-repository.ts'
import type { BlobRecords } from '../../../storage/metadata/blob-records.ts'
import type { TransferRecords } from '../../../storage/metadata/transfer-records.ts'
import type { UpstreamRecords } from '../../../storage/metadata/upstream-records.ts'
import type { RepositoryName } from '../../../storage/reference.ts'
import type { Spool } from '../../../storage/spool/spool.ts'
import type { FillRecords } from './fill-turn.ts'
import type { ProxiedBlobObserver } from './proxied-blobs.ts'
import type { BlobFetchSettings } from './settings.ts'

/** What fetching blobs works on. The stores and the spool are the caller's. */
export interface BlobFetchParts {
  readonly records: FillRecords &
    Pick<TransferRecords, 'findTransfer' | 'forgetTransfer'> &
    Pick<UpstreamRecords, 'sizesNamed'> &
    Pick<BlobRecords, 'repositoriesWithBlob'>
  /** Where blobs are kept, with the quotas that there are. */
  readonly blobs: BlobStore
  /** The same, as a place that images are copied to. */
  readonly own: (repository: RepositoryName) => WritableRepository
  readonly spool: Spool
  readonly log: Logger
  readonly settings: BlobFetchSettings
  readonly observer?: ProxiedBlobObserver | undefined
}

import type { BlobStore } from '../../storage/blobs/blob-store.ts'
import type { RequiredReferences } from '../../storage/manifest.ts'
import type { ManifestRecords, RepositoryRecords, TagRecords } from '../../storage/metadata/metadata.ts'
import type { TransferRecords } from '../../storage/metadata/mirror-records.ts'
import type { Requester } from '../../storage/requester.ts'
import type { Turns } from '../../storage/turns.ts'
import type { TransferTimes } from './transfer-session.ts'

export type OwnRecords = Pick<
  ManifestRecords,
  'putManifest' | 'getManifest' | 'statManifest' | 'listReferrers'
> &
  TagRecords &
  Pick<RepositoryRecords, 'listRepositories'> &
  TransferRecords

/** What one registry's repositories are made of. */
export interface OwnStores {
  readonly blobs: BlobStore
  readonly metadata: OwnRecords
  readonly by: Requester | undefined
  readonly mayUseAny: boolean
  readonly requireReferences: RequiredReferences
  readonly times: TransferTimes
  readonly turns: Turns
}

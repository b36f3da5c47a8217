import type { BlobStore } from '../../storage/blobs/blob-store.ts'
import type { RequiredReferences } from '../../storage/manifest.ts'
import type { BlobRecords } from '../../storage/metadata/blob-records.ts'
import type { ManifestRecords } from '../../storage/metadata/manifest-records.ts'
import type { TransferRecords } from '../../storage/metadata/transfer-records.ts'
import type { RepositoryRecords } from '../../storage/metadata/repository-records.ts'
import type { BlobFaultRecords } from '../../storage/metadata/scrub-records.ts'
import type { TagRecords } from '../../storage/metadata/tag-records.ts'
import type { Requester } from '../../storage/requester.ts'
import type { Turns } from '../../storage/turns.ts'
import type { TransferTimes } from './transfer-session.ts'

export type OwnRecords = Pick<
  ManifestRecords,
  'putManifest' | 'getManifest' | 'statManifest' | 'listReferrers'
> &
  TagRecords &
  Pick<BlobRecords, 'repositoriesWithBlob'> &
  Pick<RepositoryRecords, 'listRepositories'> &
  Pick<BlobFaultRecords, 'hasFaults'> &
  TransferRecords

/**
 * Which repositories a blob may come from without its bytes, besides those that are named: none; those of the same tenant,
 * and what everybody may see; or any. A source that says it has a blob has proved nothing: it may only know its digest.
 */
export type MountSources = 'named' | 'tenant' | 'anywhere'

/** What one registry's repositories are made of. */
export interface OwnStores {
  readonly blobs: BlobStore
  readonly metadata: OwnRecords
  readonly by: Requester | undefined
  readonly mountsFrom: MountSources
  readonly requireReferences: RequiredReferences
  readonly times: TransferTimes
  readonly turns: Turns
}

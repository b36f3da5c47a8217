import type { Config } from '../../config.ts'
import { type AdoptRegistryOptions, adoptRegistry } from '../../storage/adopt/adopt-registry.ts'
import type { AdoptReport } from '../../storage/adopt/adopt-report.ts'
import type { BlobMover } from '../../storage/adopt/blob-mover.ts'
import { BucketLegacyStore } from '../../storage/adopt/bucket-legacy-store.ts'
import { CopyingMover } from '../../storage/adopt/copying-mover.ts'
import { DirectoryLegacyStore } from '../../storage/adopt/directory-legacy-store.ts'
import { SharingMover } from '../../storage/adopt/sharing-mover.ts'
import { UsingMover } from '../../storage/adopt/using-mover.ts'
import { FilesystemObjectStore } from '../../storage/objects/filesystem.ts'
import { type AdoptSource, formatAdoptSource } from './adopt-source.ts'
import { createBlobMemory, createBlobs } from './service.ts'
import { openStores, type Stores, s3Options } from './stores.ts'

/**
 * Adopts into the storage and the database of the configuration; a registry may be serving them meanwhile.
 * @throws DomainError.
 */
export async function adoptInto(
  config: Config,
  source: AdoptSource,
  options: AdoptRegistryOptions,
): Promise<AdoptReport> {
  await using stack = new AsyncDisposableStack()
  const from = await openSource(config, source, stack, options)
  const stores = stack.use(await openStores(config, { migrate: config.database.migrate }))
  const mover = moverFor(config, source, from, stores, options.trust)
  return await adoptRegistry({ from, mover, metadata: stores.metadata }, options)
}

/** Of a bucket, the endpoint and the credentials are those of `storage.s3`, wherever blobs go. */
async function openSource(
  { storage }: Config,
  source: AdoptSource,
  stack: AsyncDisposableStack,
  { signal }: AdoptRegistryOptions,
): Promise<DirectoryLegacyStore | BucketLegacyStore> {
  if (source.kind === 'filesystem') return await DirectoryLegacyStore.open(source.directory, { signal })
  const driver = storage.driver === 'filesystem' ? 's3' : storage.driver
  const own = s3Options({ ...storage, driver })
  const { S3ObjectStore } = await import('../../storage/objects/s3/s3-object-store.ts')
  const bucket = await S3ObjectStore.open({ ...own, bucket: source.bucket, prefix: '' }, { signal })
  const name = formatAdoptSource(source)
  return await BucketLegacyStore.open(stack.use(bucket), { name, directory: source.directory }, { signal })
}

/** The way that moves the fewest bytes. */
function moverFor(
  config: Config,
  source: AdoptSource,
  from: DirectoryLegacyStore | BucketLegacyStore,
  stores: Stores,
  trust: boolean,
): BlobMover {
  const { metadata, objects } = stores
  const otherwise = new CopyingMover(from, createBlobs(config, stores, createBlobMemory(config)))
  if (from instanceof DirectoryLegacyStore)
    return objects instanceof FilesystemObjectStore
      ? new SharingMover({ from, objects, metadata, otherwise, trust })
      : otherwise
  const { driver, s3 } = config.storage
  const isOwnBucket = driver !== 'filesystem' && source.kind === 's3' && source.bucket === s3.bucket
  return isOwnBucket
    ? new UsingMover({ objects, metadata, prefix: from.prefix, otherwise, trust })
    : otherwise
}

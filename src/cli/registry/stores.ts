import { join } from 'node:path'
import type { Config } from '../../config.ts'
import type { DomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics/metrics.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { Metadata } from '../../storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../storage/objects/filesystem.ts'
import type { ObjectStore } from '../../storage/objects/object-store.ts'
import type { Presigner } from '../../storage/objects/presigner.ts'
import type { S3ObjectStoreOptions } from '../../storage/objects/s3/s3-object-store.ts'
import { useDirectory } from '../use-directory.ts'
import { keepTimesOf } from './keep-times.ts'

/** What a registry keeps its content in. */
export interface Stores extends AsyncDisposable {
  /** `storage.driver`. */
  readonly driver: string
  readonly objects: ObjectStore
  readonly metadata: Metadata
  /** Where the objects have URLs of their own. */
  readonly presigner: Presigner | undefined
  /** Tells of each request to a store that is somewhere else, from now on. */
  observe(observer: StoreObserver): void
}

export type StoreObserver = Pick<Metrics, 'storeRequest' | 'storeRetry'>

export interface OpenStoresOptions extends Abortable {
  /** Whether an old schema is brought up to date; otherwise it is refused. */
  readonly migrate: boolean
  /** Where it is told that the database is waited for; it is not, unless given. */
  readonly log?: Logger | undefined
}

/** @throws DomainError `unavailable`, `unsupported` for a schema that this version does not fit. */
export async function openStores(config: Config, options: OpenStoresOptions): Promise<Stores> {
  await using stack = new AsyncDisposableStack()
  let observer: StoreObserver | undefined
  const { objects, presigner } = await openObjects(config, stack, {
    storeRequest: (...args) => observer?.storeRequest(...args),
    storeRetry: (...args) => observer?.storeRetry(...args),
  })
  const metadata = stack.use(await openMetadata(config, options))
  const owned = stack.move()
  return {
    driver: config.storage.driver,
    objects,
    presigner,
    metadata,
    observe: given => {
      observer = given
    },
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}

export async function openMetadata(
  config: Config,
  { migrate, log, signal }: OpenStoresOptions,
): Promise<Metadata> {
  const { url, poolSize, startWaitSeconds } = config.database
  const keep = keepTimesOf(config)
  if (url !== undefined) {
    const { openPostgresMetadata } = await import('../../storage/metadata/postgres.ts')
    const patience = log && {
      forMs: startWaitSeconds * 1000,
      onWait: (reason: DomainError) => log.warn({ reason: reason.message }, 'waiting for the database'),
    }
    return openPostgresMetadata(url, { poolSize, migrate, patience, keep, signal })
  }
  return openSqliteMetadata(join(await registryDirectory(config), 'varve.db'), { migrate, keep, signal })
}

/** @param observer told of each request to a store that is somewhere else; nobody is unless given. */
export async function openObjects(
  config: Config,
  stack: AsyncDisposableStack,
  observer: StoreObserver = { storeRequest: () => {}, storeRetry: () => {} },
): Promise<Pick<Stores, 'objects' | 'presigner'>> {
  const options = s3Options(config.storage)
  if (options === undefined)
    return {
      objects: await FilesystemObjectStore.open(await registryDirectory(config)),
      presigner: undefined,
    }
  // Its SDK is large; who does not use it should not wait for it.
  const { S3ObjectStore } = await import('../../storage/objects/s3/s3-object-store.ts')
  const store = stack.use(
    await S3ObjectStore.open({
      ...options,
      onRequest: (operation, status, _seconds, bytes) => observer.storeRequest(operation, status, bytes),
      onRetry: operation => observer.storeRetry(operation),
    }),
  )
  return { objects: store, presigner: store }
}

/** Undefined when the objects are in a directory. */
export function s3Options({ driver, s3 }: Config['storage']): S3ObjectStoreOptions | undefined {
  if (driver === 'filesystem') return undefined
  const { bucket = '', accessKeyId, secretAccessKey, secretAccessKeyFile: _, ...rest } = s3
  const credentials =
    accessKeyId === undefined || secretAccessKey === undefined ? undefined : { accessKeyId, secretAccessKey }
  return { ...rest, bucket, credentials, profile: driver }
}

/** The directory of the embedded defaults. */
async function registryDirectory({ data }: Config): Promise<string> {
  const directory = join(data, 'registry')
  await useDirectory(directory, '--data')
  return directory
}

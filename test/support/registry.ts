import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '../../src/log.ts'
import { createRegistryApp } from '../../src/registry/app.ts'
import type { PullLog } from '../../src/registry/events/pull-recorder.ts'
import type { PullNoter } from '../../src/registry/retention/pull-notes.ts'
import type { PullThroughParts, RegistryRules } from '../../src/registry/routes.ts'
import { defaultServerTimeouts, listen, type ServerTimeouts } from '../../src/registry/server.ts'
import type { RegistrySecurity } from '../../src/registry/security.ts'
import type { BlobStore } from '../../src/storage/blobs/blob-store.ts'
import type { BlobStoreSettings } from '../../src/storage/blobs/blob-store-parts.ts'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import type { Presigner } from '../../src/storage/objects/presigner.ts'
import { keepRecords, testLog } from './test-logs.ts'

export interface TestRegistryOptions {
  /** Silent unless given. */
  readonly log?: Logger | undefined
  /** Of a registry that was stopped or still runs: its data are used and not removed. A new temporary one unless given. */
  readonly directory?: string | undefined
  /** The system chooses unless given. */
  readonly port?: number | undefined
  readonly uploadSecret?: Uint8Array | undefined
  readonly settings?: Partial<BlobStoreSettings> | undefined
  readonly timeouts?: Partial<ServerTimeouts> | undefined
  readonly presigner?: Presigner | undefined
  readonly rules?: Partial<RegistryRules> | undefined
  readonly pulls?: PullLog | undefined
  readonly pullNotes?: ((metadata: Metadata, stack: AsyncDisposableStack) => PullNoter) | undefined
  /** Who may do what; everybody everything unless given. */
  readonly security?: ((metadata: Metadata) => RegistrySecurity) | undefined
  /** Copies of other registries; none unless given. @param stack ends with the registry. */
  readonly pullThrough?:
    | ((stores: TestStores, stack: AsyncDisposableStack) => Promise<PullThroughParts>)
    | undefined
}

export interface TestStores {
  readonly directory: string
  readonly blobs: BlobStore
  readonly metadata: Metadata
}

export interface TestRegistry extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly directory: string
  readonly metadata: Metadata
  /** Stops it, and removes its directory unless that was given. */
  stop(): Promise<void>
}

/** A registry on a free port of 127.0.0.1, with objects in a directory and metadata in SQLite. */
export async function startRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  await using stack = new AsyncDisposableStack()
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'varve-registry-')))
  if (options.directory === undefined)
    stack.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))
  const database = join(directory, 'metadata.sqlite')
  stack.defer(() => keepRecords(database))
  const objects = await FilesystemObjectStore.open(join(directory, 'objects'))
  const metadata = stack.use(await openSqliteMetadata(database))
  const blobs = new ObjectBlobStore({
    objects,
    metadata,
    presigner: options.presigner,
    settings: options.settings,
  })
  const app = createRegistryApp({
    blobs,
    metadata,
    pullThrough: await options.pullThrough?.({ directory, blobs, metadata }, stack),
    log: options.log ?? testLog(),
    uploadSecret: options.uploadSecret,
    rules: options.rules,
    pulls: options.pulls,
    pullNotes: options.pullNotes?.(metadata, stack),
    security: options.security?.(metadata),
  })
  const address = { host: '127.0.0.1', port: options.port ?? 0 }
  const timeouts = { ...defaultServerTimeouts, stopMs: 1000, ...options.timeouts }
  const server = await listen(app.callback(), address, timeouts)
  stack.defer(() => server.close())
  const owned = stack.move()
  const stop = () => owned.disposeAsync()
  return { url: server.url, directory, metadata, stop, [Symbol.asyncDispose]: stop }
}

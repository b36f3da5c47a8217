import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRegistryApp } from '../../src/registry/app.ts'
import type { Handler, HandlerLayer } from '../../src/registry/handler.ts'
import { OwnRegistry } from '../../src/registry/mirror/own-registry.ts'
import {
  type BlobAnswer,
  createProxiedBlobs,
  type ProxiedBlobs,
} from '../../src/registry/pull-through/blobs/proxied-blobs.ts'
import type { BlobFetchSettings } from '../../src/registry/pull-through/blobs/settings.ts'
import type { Upstream, UpstreamRepository } from '../../src/registry/pull-through/upstream.ts'
import { defaultServerTimeouts, listen } from '../../src/registry/server.ts'
import type { BlobStore } from '../../src/storage/blobs/blob-store.ts'
import type { BlobStoreSettings } from '../../src/storage/blobs/blob-store-parts.ts'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import type { ReadableRepository } from '../../src/storage/images/image-repository.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { parseRepositoryName } from '../../src/storage/reference.ts'
import { Spool, type SpoolOptions } from '../../src/storage/spool/spool.ts'
import { testLog } from './test-logs.ts'

export const proxiedName = parseRepositoryName('hub.test/acme/web')
const prefix = parseRepositoryName('hub.test')

export interface ProxiedRegistryOptions {
  /** Of one that runs or was killed: its data are used and not removed. A new temporary one unless given. */
  readonly directory?: string | undefined
  readonly settings?: Partial<BlobFetchSettings> | undefined
  readonly spool?: Partial<SpoolOptions> | undefined
  readonly blobSettings?: Partial<BlobStoreSettings> | undefined
  readonly store?: boolean | undefined
  /** Around where blobs are kept. */
  readonly kept?: ((blobs: BlobStore) => BlobStore) | undefined
}

export interface ProxiedRegistry extends AsyncDisposable {
  readonly url: string
  readonly directory: string
  readonly metadata: Metadata
  readonly blobs: BlobStore
  readonly proxied: ProxiedBlobs
  /** How requests were answered, in order. */
  readonly answers: BlobAnswer[]
  /** How fetches ended, in order, with the bytes that came. */
  readonly fetched: { readonly outcome: string; readonly bytes: number }[]
}

/** A registry of which the blobs of {@link proxiedName} are copies of what `source` has. */
export async function startProxiedRegistry(
  source: ReadableRepository,
  options: ProxiedRegistryOptions = {},
): Promise<ProxiedRegistry> {
  await using stack = new AsyncDisposableStack()
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'varve-proxied-')))
  if (options.directory === undefined)
    stack.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))
  const objects = await FilesystemObjectStore.open(join(directory, 'objects'))
  const metadata = stack.use(await openSqliteMetadata(join(directory, 'metadata.sqlite')))
  const plain = new ObjectBlobStore({ objects, metadata, settings: options.blobSettings })
  const blobs = options.kept?.(plain) ?? plain
  const spoolDirectory = join(directory, 'spool')
  await mkdir(spoolDirectory, { recursive: true })
  const free = { freeBytes: () => Promise.resolve(Number.POSITIVE_INFINITY) }
  const spool = stack.use(
    await Spool.open({
      directory: spoolDirectory,
      maxBytes: 2 ** 30,
      downloads: 64,
      ...free,
      ...options.spool,
    }),
  )
  const own = new OwnRegistry({ blobs, metadata })
  const answers: BlobAnswer[] = []
  const fetched: { outcome: string; bytes: number }[] = []
  const proxied = stack.use(
    createProxiedBlobs({
      records: metadata,
      blobs,
      own: name => own.repository(name),
      spool,
      log: testLog(),
      settings: options.settings,
      observer: {
        answered: (_upstream, answer) => answers.push(answer),
        fetched: (_upstream, outcome, bytes) => fetched.push({ outcome, bytes }),
      },
    }),
  )
  const app = createRegistryApp({
    blobs: plain,
    metadata,
    log: testLog(),
    pullThrough: {
      names: { meantBy: () => Promise.resolve(undefined) },
      layer: layerOver(proxied, upstreamOf(source, options.store ?? true)),
    },
  })
  const server = await listen(
    app.callback(),
    { host: '127.0.0.1', port: 0 },
    { ...defaultServerTimeouts, stopMs: 500 },
  )
  stack.defer(() => server.close())
  const owned = stack.move()
  return {
    url: server.url,
    directory,
    metadata,
    blobs: plain,
    proxied,
    answers,
    fetched,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function upstreamOf(source: ReadableRepository, store: boolean): UpstreamRepository {
  const upstream: Upstream = {
    name: 'hub',
    prefix,
    settings: { tagFreshSeconds: 0, absentSeconds: 0, keepAbsent: false, store },
    ask: (question, options = {}) => question(options),
  }
  return { upstream, repository: proxiedName, source }
}

function layerOver(proxied: ProxiedBlobs, at: UpstreamRepository): HandlerLayer {
  return {
    around(operation, handler): Handler {
      if (operation !== 'blob.get' && operation !== 'blob.head') return handler
      const isProxied = (name: string | undefined): boolean => name === proxiedName
      return request => {
        if (!isProxied(request.params['name'])) return handler(request)
        return operation === 'blob.get'
          ? proxied.get(request, at, handler)
          : proxied.head(request, at, handler)
      }
    },
  }
}

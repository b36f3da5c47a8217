import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { configuredUpstreams } from '../../src/cli/registry/pull-through.ts'
import { upstreamsSettings } from '../../src/config/upstreams-settings.ts'
import { OwnRegistry } from '../../src/registry/mirror/own-registry.ts'
import type { BlobFetchSettings } from '../../src/registry/pull-through/blobs/settings.ts'
import { createProxiedBlobs } from '../../src/registry/pull-through/blobs/proxied-blobs.ts'
import { ConfiguredUpstreams } from '../../src/registry/pull-through/configured-upstreams.ts'
import { PullThrough, type PullThroughObserver } from '../../src/registry/pull-through/pull-through.ts'
import { RequestedNames } from '../../src/registry/pull-through/requested-names.ts'
import type { PullThroughParts } from '../../src/registry/routes.ts'
import { hopIdOf, newHopId } from '../../src/storage/remote/hops.ts'
import { HttpRegistries, type HttpRegistriesOptions } from '../../src/storage/remote/http-registries.ts'
import { Spool } from '../../src/storage/spool/spool.ts'
import { startRegistry, type TestRegistry, type TestRegistryOptions, type TestStores } from './registry.ts'
import { testLog } from './test-logs.ts'

export interface PullThroughTest extends Omit<TestRegistryOptions, 'pullThrough'> {
  /** As `upstreams` in the configuration. */
  readonly upstreams: readonly object[]
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
  readonly patienceMs?: number | undefined
  readonly remote?: HttpRegistriesOptions | undefined
  readonly blobFetches?: Partial<BlobFetchSettings> | undefined
  readonly observer?: PullThroughObserver | undefined
}

/** A registry in front of others, put together as `varve serve` does it. */
export async function startPullThrough({ upstreams, ...options }: PullThroughTest): Promise<TestRegistry> {
  return await startRegistry({
    ...options,
    pullThrough: (stores, stack) => assemble(upstreams, options, stores, stack),
  })
}

async function assemble(
  settings: readonly object[],
  { now, patienceMs, remote, blobFetches, observer, log = testLog() }: Omit<PullThroughTest, 'upstreams'>,
  { directory, blobs, metadata }: TestStores,
  stack: AsyncDisposableStack,
): Promise<PullThroughParts> {
  const parsed = upstreamsSettings.safeParse(settings)
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error))
  const configured = configuredUpstreams({ upstreams: parsed.data })
  const self = hopIdOf(await metadata.agreeOn('hop-id', newHopId()))
  const registries = stack.use(new HttpRegistries(remote))
  const upstreams = new ConfiguredUpstreams(configured, registries, {}, self)
  const spools = join(directory, 'spool')
  await mkdir(spools, { recursive: true })
  const spool = stack.use(await Spool.open({ directory: spools, maxBytes: 2 ** 30, downloads: 64 }))
  const own = new OwnRegistry({ blobs, metadata })
  const proxied = stack.use(
    createProxiedBlobs({
      records: metadata,
      blobs,
      own: name => own.repository(name),
      spool,
      log,
      settings: blobFetches,
    }),
  )
  const parts = { upstreams, self, records: metadata, blobs: proxied, log, now, patienceMs, observer }
  return { names: new RequestedNames(configured, metadata), layer: stack.use(new PullThrough(parts)) }
}

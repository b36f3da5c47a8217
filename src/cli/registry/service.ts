import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { Config } from '../../config.ts'
import { DomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { createMetrics, type Metrics } from '../../metrics/metrics.ts'
import { createRegistryApp } from '../../registry/app.ts'
import { PullRecorder } from '../../registry/events/pull-recorder.ts'
import type { HealthChecks } from '../../registry/health.ts'
import type { BlobRedirects } from '../../registry/redirects.ts'
import { pullsKnownSince } from '../../registry/retention/plan.ts'
import { PullNotes } from '../../registry/retention/pull-notes.ts'
import { defaultServerTimeouts, listen } from '../../registry/server.ts'
import { addressRanges } from '../../storage/address-ranges.ts'
import { BlobCache } from '../../storage/blobs/blob-cache.ts'
import type { BlobStoreSettings } from '../../storage/blobs/blob-store-parts.ts'
import { BufferBudget } from '../../storage/blobs/buffer-budget.ts'
import { ObjectBlobStore, type ObjectBlobStoreOptions } from '../../storage/blobs/object-blob-store.ts'
import { hourMs } from '../../storage/durations.ts'
import { observedObjectStore } from '../../storage/objects/observed.ts'
import { DigestThread } from '../../storage/streams/digest-thread.ts'
import { parseAddress } from '../address.ts'
import { withinQuotas } from './limits.ts'
import { openPullThrough } from './pull-through.ts'
import { openSecurity } from './security.ts'
import { servedBackups } from './served-backups.ts'
import { ServedScrub } from './served-scrub.ts'
import type { Stores } from './stores.ts'
import { watchSuspects } from './suspects.ts'
import { clientCertificatesOf, serverTlsOf } from './tls.ts'

/** What answers requests, in this process. */
export interface Service {
  /** `host:port` that it listens on. */
  readonly address: string
  readonly metrics: Metrics
  readonly checks: HealthChecks
  /** Lets running requests end. Idempotent. */
  close(): Promise<void>
}

export interface ServiceOptions {
  /** Told when somebody wishes that a mirror job runs. */
  readonly onMirrorWish?: (() => void) | undefined
}

/** What blobs of one process share. */
export interface BlobMemory {
  readonly buffers: BufferBudget
  readonly cache: BlobCache | undefined
  /** With a single core, another thread would only be in the way. */
  readonly digests?: DigestThread | undefined
}

/** Blobs as the configuration wants them, but for what is given. */
export function createBlobs(
  config: Config,
  stores: Stores,
  { buffers, cache, digests }: BlobMemory,
  settings: Pick<Partial<BlobStoreSettings>, 'saveEveryBytes'> = {},
  onDamaged?: ObjectBlobStoreOptions['onDamaged'],
): ObjectBlobStore {
  const { partBytes, uploadExpiryHours } = config.registry
  const { driver, verifyReads } = config.storage
  return new ObjectBlobStore({
    objects: stores.objects,
    metadata: stores.metadata,
    presigner: stores.presigner,
    buffers,
    cache,
    digests,
    onDamaged,
    settings: {
      partSizeBytes: partBytes,
      uploadTtlMs: uploadExpiryHours * hourMs,
      verifyReads: verifyReads ?? driver !== 'filesystem',
      ...settings,
    },
  })
}

export function createBlobMemory({
  registry: { partBytes, uploadMemoryBytes },
  storage: { cacheBytes },
}: Config): BlobMemory {
  return {
    buffers: new BufferBudget({ limitBytes: uploadMemoryBytes, partBytes }),
    cache: cacheBytes === 0 ? undefined : new BlobCache(cacheBytes),
    digests: availableParallelism() > 1 ? new DigestThread() : undefined,
  }
}

/** @throws DomainError `unavailable` when the address is taken. */
export async function startService(
  config: Config,
  stores: Stores,
  log: Logger,
  { onMirrorWish }: ServiceOptions = {},
): Promise<Service> {
  const { registry } = config
  const address = parseAddress(registry.address)
  const trusted = addressRanges(registry.trustedProxies)
  const memory = createBlobMemory(config)
  const objects = observedObjectStore(stores.objects, (action, seconds) =>
    metrics.storageAction(stores.driver, action, seconds),
  )
  await using stack = new AsyncDisposableStack()
  const { suspect } = stack.use(watchSuspects(config, stores, log))
  const blobs = createBlobs(config, { ...stores, objects }, memory, {}, suspect)
  const metrics = createMetrics({ uploadBuffers: memory.buffers, uploads: blobs, blobCache: memory.cache })
  stores.observe(metrics)
  const pushedTo = withinQuotas({ blobs, metadata: stores.metadata }, metrics)
  const pullThrough = await openPullThrough({ config, stores: pushedTo, metrics: metrics.proxy, log }, stack)
  const security = stack.use(
    await openSecurity({
      config,
      metadata: stores.metadata,
      blobs,
      metrics,
      log,
      signatures: pullThrough?.signatures,
      onMirrorWish,
      collectNow: async options => {
        // It is asked for now and then.
        const { collectNow } = await import('./collect-now.ts')
        return await collectNow(config, stores, options)
      },
      backup: stack.use(servedBackups(config, stores, log)),
      retainNow: async options => {
        const { retainNow } = await import('./retain-now.ts')
        return await retainNow(config, stores, log, options)
      },
      scrubNow: stack.use(new ServedScrub(config, stores, log)).tick,
    }),
  )

  let isStopping = false
  const checks: HealthChecks = {
    metadata: options => stores.metadata.ping(options),
    objects: options => stores.objects.ping(options),
    server: async () => {
      if (isStopping)
        throw new DomainError('unavailable', 'The registry is stopping.', { resource: 'request' })
    },
  }
  const pulls = config.events.pulls
    ? stack.use(
        new PullRecorder({
          records: stores.metadata,
          log,
          onDropped: count => metrics.pullEventsDropped(count),
        }),
      )
    : undefined
  const pullNotes = stack.use(new PullNotes({ records: stores.metadata, log }))
  await pullsKnownSince(stores.metadata, new Date())
  const app = createRegistryApp({
    ...pushedTo,
    pullThrough: pullThrough?.parts,
    security: security.registry,
    pulls,
    pullNotes,
    uploadSecret: await uploadSecretOf(stores),
    checks,
    buffers: memory.buffers,
    metrics,
    trustedProxies: trusted,
    clientCertificates: clientCertificatesOf(config),
    hstsSeconds: registry.tls.hstsSeconds,
    bodyPace: {
      minBytesPerSecond: registry.minBodyBytesPerSecond,
      windowMs: registry.idleTimeoutSeconds * 1000,
    },
    log,
    rules: {
      readOnly: registry.readOnly,
      requireReferences: registry.requireReferences,
      redirects: redirectsOf(config.storage),
    },
  })
  const timeouts = {
    ...defaultServerTimeouts,
    idleMs: registry.idleTimeoutSeconds * 1000,
    stopMs: registry.drainSeconds * 1000,
  }
  const server = await listen(
    app.callback(),
    address,
    timeouts,
    malformed => log.info(malformed, 'malformed request'),
    serverTlsOf(config, log),
  )
  const owned = stack.move()
  return {
    address: `${server.host}:${server.port}`,
    metrics,
    checks,
    close: async () => {
      isStopping = true
      await server.close()
      await owned.disposeAsync()
    },
  }
}

/** The same for all processes that serve this database's uploads. */
async function uploadSecretOf({ metadata }: Stores): Promise<Uint8Array> {
  const proposed = randomBytes(32).toString('base64')
  return Buffer.from(await metadata.agreeOn('upload-secret', proposed), 'base64')
}

function redirectsOf({
  redirect,
  redirectSeconds,
  redirectExcept,
}: Config['storage']): BlobRedirects | undefined {
  if (!redirect) return undefined
  const exempt = addressRanges(redirectExcept)
  return { expiresInSeconds: redirectSeconds, exempts: client => exempt.includes(client) }
}

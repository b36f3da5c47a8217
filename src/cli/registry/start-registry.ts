import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { DomainError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { createRegistryApp } from '../registry/app.ts'
import { trustedProxies } from '../registry/client-origin.ts'
import type { HealthChecks } from '../registry/health.ts'
import { defaultServerTimeouts, listen } from '../registry/server.ts'
import { BufferBudget } from '../storage/blobs/buffer-budget.ts'
import { ObjectBlobStore } from '../storage/blobs/object-blob-store.ts'
import { openSqliteMetadata } from '../storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../storage/objects/filesystem.ts'
import { observedObjectStore } from '../storage/objects/observed.ts'
import { parseAddress } from './address.ts'
import { startDebugServer } from './compose-debug.ts'

export interface RunningRegistry extends AsyncDisposable {
  /** `host:port` that it listens on. */
  readonly address: string
  /** That of metrics and health, if they are served. */
  readonly metricsAddress: string | undefined
}

const hourMs = 60 * 60 * 1000

/** The registry on the embedded defaults: SQLite and a directory of objects below `data`. @throws DomainError. */
export async function startRegistry(config: Config, log: Logger): Promise<RunningRegistry> {
  const address = parseAddress(config.registry.address)
  const trusted = trustedProxies(config.registry.trustedProxies)
  const directory = join(config.data, 'registry')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await using stack = new AsyncDisposableStack()
  const { partBytes, uploadMemoryBytes } = config.registry
  const store = await FilesystemObjectStore.open(directory)
  const buffers = new BufferBudget({ limitBytes: uploadMemoryBytes, partBytes })
  const objects = observedObjectStore(store, (action, seconds) =>
    metrics.storageAction('filesystem', action, seconds),
  )
  const metadata = stack.use(await openSqliteMetadata(join(directory, 'varve.db')))
  const blobs = new ObjectBlobStore({
    objects,
    metadata,
    buffers,
    settings: {
      partSizeBytes: partBytes,
      uploadTtlMs: config.registry.uploadExpiryHours * hourMs,
    },
  })
  const metrics = createMetrics({ uploadBuffers: buffers, uploads: blobs })
  stack.use(sweepHourly(blobs, log))

  let isStopping = false
  const checks: HealthChecks = {
    metadata: options => metadata.ping(options),
    objects: options => objects.ping(options),
    server: async () => {
      if (isStopping)
        throw new DomainError('unavailable', 'The registry is stopping.', { resource: 'request' })
    },
  }
  const debug = await startDebugServer(config.registry.metricsAddress, { log, metrics, checks }, log)
  if (debug !== undefined) stack.defer(async () => await debug.close())

  const app = createRegistryApp({
    blobs,
    metadata,
    checks,
    buffers,
    metrics,
    trustedProxies: trusted,
    bodyPace: {
      minBytesPerSecond: config.registry.minBodyBytesPerSecond,
      windowMs: config.registry.idleTimeoutSeconds * 1000,
    },
    log,
    rules: {
      readOnly: config.registry.readOnly,
      requireReferences: config.registry.requireReferences,
    },
  })
  const timeouts = {
    ...defaultServerTimeouts,
    idleMs: config.registry.idleTimeoutSeconds * 1000,
    stopMs: config.registry.drainSeconds * 1000,
  }
  const server = await listen(app.callback(), address, timeouts, malformed =>
    log.info(malformed, 'malformed request'),
  )
  stack.defer(async () => {
    isStopping = true
    await server.close()
  })
  const listening = `${server.host}:${server.port}`
  log.info({ address: listening, data: directory }, 'registry is listening')
  const owned = stack.move()
  const metricsAddress = debug && `${debug.host}:${debug.port}`
  return { address: listening, metricsAddress, [Symbol.asyncDispose]: async () => await owned.disposeAsync() }
}

/** Drops the uploads that nobody continued. A sweep that fails is tried again an hour later. */
function sweepHourly(blobs: ObjectBlobStore, log: Logger): AsyncDisposable {
  const closing = new AbortController()
  let sweeping = Promise.resolve()
  const sweep = (): void => {
    sweeping = blobs
      .sweepUploads(new Date(), { signal: closing.signal })
      .then(swept => log.info({ swept }, 'expired uploads swept'))
      .catch((error: unknown) => {
        if (!closing.signal.aborted) log.error({ error }, 'sweep of expired uploads failed')
      })
  }
  const timer = setInterval(sweep, hourMs)
  sweep()
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer)
      closing.abort()
      await sweeping
    },
  }
}

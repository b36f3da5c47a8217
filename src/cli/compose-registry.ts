import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { DomainError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { createRegistryApp } from '../registry/app.ts'
import { defaultServerTimeouts, type ListenAddress, listen } from '../registry/server.ts'
import { ObjectBlobStore } from '../storage/blobs/object-blob-store.ts'
import { openSqliteMetadata } from '../storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../storage/objects/filesystem.ts'

export interface RunningRegistry extends AsyncDisposable {
  /** `host:port` that it listens on. */
  readonly address: string
}

const hourMs = 60 * 60 * 1000

/** The registry on the embedded defaults: SQLite and a directory of objects below `data`. @throws DomainError. */
export async function startRegistry(config: Config, log: Logger): Promise<RunningRegistry> {
  const directory = join(config.data, 'registry')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await using stack = new AsyncDisposableStack()
  const objects = await FilesystemObjectStore.open(directory)
  const metadata = stack.use(await openSqliteMetadata(join(directory, 'varve.db')))
  const blobs = new ObjectBlobStore({
    objects,
    metadata,
    settings: {
      partSizeBytes: config.registry.partBytes,
      uploadTtlMs: config.registry.uploadExpiryHours * hourMs,
    },
  })
  stack.use(sweepHourly(blobs, log))

  const app = createRegistryApp({ blobs, metadata, log })
  const server = await listen(app.callback(), parseAddress(config.registry.address), {
    ...defaultServerTimeouts,
    idleMs: config.registry.idleTimeoutSeconds * 1000,
    stopMs: config.registry.drainSeconds * 1000,
  })
  stack.defer(async () => await server.close())
  const address = `${server.host}:${server.port}`
  log.info({ address, data: directory }, 'registry is listening')
  const owned = stack.move()
  return { address, [Symbol.asyncDispose]: async () => await owned.disposeAsync() }
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

/** `host:port`, `:port` for all addresses, `[::1]:port`. @throws DomainError `invalid`. */
export function parseAddress(text: string): ListenAddress {
  const [, host, port] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]*):(\d{1,5})$/.exec(text) ?? []
  if (host === undefined || port === undefined || Number(port) > 65_535)
    throw new DomainError(
      'invalid',
      `${JSON.stringify(text)} is not an address to listen on; write host:port, such as 127.0.0.1:5000.`,
      { resource: 'config', name: text },
    )
  return { host: host.replace(/^\[|\]$/g, '') || '::', port: Number(port) }
}

import { resolve } from 'node:path'
import { checkAgent, checkAgentClient } from './complete-agent.ts'
import { checkAuth } from './complete-auth.ts'
import { type CompleteEvents, completeEvents } from './complete-events.ts'
import { checkTls } from './complete-tls.ts'
import { type CompleteUpstreams, completeUpstreams } from './complete-upstreams.ts'
import { invalidSetting } from './invalid.ts'
import type { Settings } from './schema.ts'
import { secretOf } from './secrets.ts'

/** The effective configuration, with what depends on other settings, or is in files of its own, filled in. */
export interface Config extends Omit<Settings, 'events' | 'upstreams' | 'remote'>, CompleteUpstreams {
  readonly events: CompleteEvents
  readonly pullThrough: Settings['pullThrough'] & { readonly spoolDirectory: string }
  readonly importer: Settings['importer'] & { readonly chains: string; readonly socket: string }
}

/** @throws DomainError `invalid` that names the setting which does not fit the others. */
export function complete(settings: Settings): Config {
  const data = resolve(settings.data)
  checkMemory(settings.registry)
  checkAuth(settings)
  checkTls(settings)
  checkAgent(settings.importer.agent)
  checkAgentClient(settings.agent)
  const pools = poolsOf(settings.importer)
  return {
    ...settings,
    data,
    storage: completeStorage(settings.storage),
    database: {
      ...settings.database,
      url: secretOf('database.url', settings.database.url, settings.database.urlFile),
    },
    events: completeEvents(settings.events),
    ...completeUpstreams(settings),
    pullThrough: {
      ...settings.pullThrough,
      spoolDirectory: resolve(settings.pullThrough.spoolDirectory ?? `${data}/spool`),
    },
    importer: {
      ...settings.importer,
      pools,
      pool: pools[0],
      chains: resolve(settings.importer.chains ?? `${data}/chains`),
      socket: socketPath(resolve(settings.importer.socket ?? `${data}/agent.sock`)),
    },
  }
}

/** Each once, the default first. Empty where chains are directories. */
function poolsOf({ pool, pools }: Settings['importer']): string[] {
  return [...new Set([...(pool === undefined ? [] : [pool]), ...pools])]
}

/** unix(7): `sun_path` has 108 bytes, the NUL at its end included. */
const maxSocketBytes = 107

function socketPath(path: string): string {
  if (Buffer.byteLength(path) > maxSocketBytes)
    throw invalidSetting(
      'importer.socket',
      `${path} is longer than the ${maxSocketBytes} bytes that the path of a socket may have`,
    )
  return path
}

function checkMemory({ partBytes, uploadMemoryBytes }: Settings['registry']): void {
  if (uploadMemoryBytes < 2 * partBytes)
    throw invalidSetting(
      'registry.uploadMemoryBytes',
      `${uploadMemoryBytes} bytes have no room for two parts of ${partBytes} (registry.partBytes)`,
    )
}

function completeStorage(storage: Settings['storage']): Settings['storage'] {
  const { driver, redirect, s3 } = storage
  if (driver === 'filesystem') {
    if (redirect) throw invalidSetting('storage.redirect', 'the driver filesystem has no URLs to redirect to')
    return storage
  }
  if (s3.bucket === undefined) throw invalidSetting('storage.s3.bucket', `the driver ${driver} needs it`)
  if (driver === 'manta' && s3.endpoint === undefined)
    throw invalidSetting('storage.s3.endpoint', 'the driver manta needs it')
  const secretAccessKey = secretOf('storage.s3.secretAccessKey', s3.secretAccessKey, s3.secretAccessKeyFile)
  if ((s3.accessKeyId === undefined) !== (secretAccessKey === undefined))
    throw invalidSetting('storage.s3.accessKeyId', 'give it and secretAccessKeyFile, or neither')
  return { ...storage, s3: { ...s3, secretAccessKey } }
}

import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BackupMetrics, createBackupMetrics } from '../../metrics/backup-metrics.ts'
import { readSetting } from '../../config/secrets.ts'
import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import { BackupRuns, type BackupRunsParts } from '../../registry/backup/backup-runs.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { BackupStore } from '../../storage/backups/backup-store.ts'
import { parseBackupSecret } from '../../storage/backups/encryption.ts'
import { hourMs, minuteMs } from '../../storage/durations.ts'
import type { MetadataSnapshot } from '../../storage/metadata/backup/snapshot.ts'
import type { ObjectStore } from '../../storage/objects/object-store.ts'
import { version } from '../../version.ts'
import { every } from './hourly.ts'
import type { Stores } from './stores.ts'

/** A registry that has just come up has better things to do, and one that lives shorter needs no backup. */
const firstLookMs = 5 * minuteMs
const longestLookMs = 10 * minuteMs

/** @throws DomainError `invalid` for a key file that cannot be used. */
export function createBackupStore(
  { backup }: Pick<Config, 'backup'>,
  objects: ObjectStore,
  { acceptsUnencrypted = false }: { readonly acceptsUnencrypted?: boolean } = {},
): BackupStore {
  const { keyFile } = backup
  const secret = keyFile === undefined ? undefined : parseBackupSecret(readSetting('backup.keyFile', keyFile))
  return new BackupStore({ objects, secret, acceptsUnencrypted, version })
}

/** @param objects where the backups go. */
export function createBackupRuns(
  config: Config,
  { metadata, objects }: Pick<Stores, 'metadata' | 'objects'>,
  {
    keep = config.backup.keep,
    onDeletionFailure,
  }: { readonly keep?: number } & Pick<BackupRunsParts, 'onDeletionFailure'>,
): BackupRuns {
  return new BackupRuns({
    records: metadata,
    backups: createBackupStore(config, objects),
    openSnapshot: options => openSnapshot(config, options),
    holder: `${hostname()} ${process.pid} ${randomUUID()}`,
    instance: randomUUID(),
    settings: { everyMs: config.backup.everyHours * hourMs, keep },
    onDeletionFailure,
  })
}

/** What the database has now. @throws DomainError. */
export async function openSnapshot(
  { data, database }: Config,
  options: Abortable,
): Promise<MetadataSnapshot> {
  const { url } = database
  if (url !== undefined) {
    const { openPostgresSnapshot } = await import('../../storage/metadata/backup/postgres-snapshot.ts')
    return await openPostgresSnapshot(url, options)
  }
  const { openSqliteSnapshot } = await import('../../storage/metadata/backup/sqlite-snapshot.ts')
  return await openSqliteSnapshot(join(data, 'registry', 'varve.db'), options)
}

/** What is logged with the reason. */
export const oldOnesAreLeft = 'old backups could not be deleted; the next backup tries it again'

export interface RunningBackups extends AsyncDisposable {
  readonly metrics: BackupMetrics
}

/** Makes backups regularly, in one process among all that share the database. */
export function startBackups(config: Config, stores: Stores, log: Logger): RunningBackups {
  const metrics = createBackupMetrics()
  const { everyHours } = config.backup
  if (everyHours === 0) return { metrics, [Symbol.asyncDispose]: async () => {} }
  const everyMs = everyHours * hourMs
  const runs = createBackupRuns(config, stores, {
    onDeletionFailure: error => log.warn({ error }, oldOnesAreLeft),
  })
  let mayLook: Promise<void> | undefined
  let newestAt: Date | undefined
  const warnOfAge = (): void => {
    if (newestAt !== undefined && Date.now() - newestAt.getTime() > 2 * everyMs)
      log.warn(
        { newest: newestAt, everyHours },
        'the newest backup is more than twice as old as it should be',
      )
  }
  const looking = every(
    Math.min(longestLookMs, everyMs),
    async ({ signal }) => {
      mayLook ??= sleep(Math.min(firstLookMs, everyMs), undefined, { signal, ref: false })
      await mayLook
      const { outcome, newest, deleted } = await runs.tick({ signal })
      metrics.looked(outcome, newest)
      if (outcome === 'made') log.info({ backup: newest, deleted }, 'the database was backed up')
      newestAt = newest?.madeAt
      warnOfAge()
    },
    error => {
      metrics.failed()
      log.error({ error }, 'the database could not be backed up; it is tried again')
      warnOfAge()
    },
  )
  return { metrics, [Symbol.asyncDispose]: () => looking[Symbol.asyncDispose]() }
}

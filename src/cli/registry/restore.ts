import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Config } from '../../config.ts'
import { counted } from '../../counted.ts'
import { DomainError } from '../../errors.ts'
import { newestFirst } from '../../registry/backup/newest-first.ts'
import { type ReconcileReport, reconcile } from '../../registry/scrub/reconcile.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { openContent } from '../../storage/backups/backup-content.ts'
import type { BackupRecord } from '../../storage/backups/backup-record.ts'
import type { BackupStore } from '../../storage/backups/backup-store.ts'
import type { BackupSummary } from '../../storage/backups/backup-lines.ts'
import type { SnapshotContent } from '../../storage/metadata/backup/snapshot.ts'
import type { Metadata } from '../../storage/metadata/metadata.ts'
import { FilesystemObjectStore } from '../../storage/objects/filesystem.ts'
import { parseBackupId } from '../../storage/objects/keys.ts'
import type { ObjectStore } from '../../storage/objects/object-store.ts'
import { SystemAudit } from '../admin/system-audit.ts'
import { useDirectory } from '../use-directory.ts'
import { createBackupStore } from './backup.ts'
import { keepTimesOf } from './keep-times.ts'
import { openObjects, openStores } from './stores.ts'

export interface RestoreChoice {
  /** An ID, `latest`, or a path with a `/` in it. */
  readonly backup: string
  /** A directory with backups; that of the objects unless given. */
  readonly from: string | undefined
  readonly replaces: boolean
  readonly revokesTokens: boolean
  readonly acceptsUnencrypted: boolean
  /** Whether the database is compared with the object store. */
  readonly reconciles: boolean
}

export interface RestoreReport {
  readonly backup: string
  /** RFC 3339. */
  readonly madeAt: string
  readonly rows: number
  /** Bytes that it is stored in; null for a file. */
  readonly size: number | null
  /** Where the database is now that was there before. */
  readonly movedTo: string | null
  readonly reconciled: ReconcileReport | null
}

/** Between two looks at an object that is not there: nobody else is writing. */
const pauseMs = 100

/** Backups that an error names. */
const maxShown = 5

/**
 * Makes the database of the configuration from a backup. Nothing is changed before all of the backup has been read once.
 *
 * @throws DomainError `not_found`, `invalid`, `digest_mismatch`, `unsupported` for the backup; `conflict` for a database that
 * has content or is open, and where `latest` may be that of several registries; `unavailable`.
 */
export async function restore(
  config: Config,
  choice: RestoreChoice,
  options: Abortable = {},
): Promise<RestoreReport> {
  await using stack = new AsyncDisposableStack()
  const { objects } = await openObjects(config, stack)
  const { content, summary, record } = await chosen(config, choice, objects, options)
  const audit = stack.use(await SystemAudit.open(config.audit.file))
  let reconciled: ReconcileReport | null = null
  const finish = async (metadata: Metadata): Promise<void> => {
    // Into the database that is restored: the one before it may be gone.
    const target = `backup:${summary.header.id}`
    await audit.tell(metadata, { operation: 'backup.restore', target, outcome: 'allowed' })
    if (choice.reconciles)
      reconciled = await reconcile({ records: metadata, objects }, { ...options, pauseMs })
  }
  const movedTo = await fill(config, choice, content, summary.header.id, finish, options)
  return {
    backup: summary.header.id,
    madeAt: summary.header.madeAt,
    rows: Object.values(summary.rows).reduce((sum, count) => sum + count, 0),
    size: record?.size ?? null,
    movedTo: movedTo ?? null,
    reconciled,
  }
}

/** @returns where the old database was moved to. */
async function fill(
  config: Config,
  { replaces, revokesTokens }: RestoreChoice,
  content: SnapshotContent,
  name: string,
  finish: (metadata: Metadata) => Promise<void>,
  { signal }: Abortable,
): Promise<string | undefined> {
  const rules = { revokesTokens, now: Date.now(), keep: keepTimesOf(config), signal }
  const { url } = config.database
  if (url !== undefined) {
    if (replaces)
      throw new DomainError(
        'invalid',
        '--replace is for SQLite; create a new database in PostgreSQL, and name it in database.url.',
        { resource: 'config', name: '--replace' },
      )
    const { restorePostgres } = await import('../../storage/metadata/backup/postgres-restore.ts')
    await restorePostgres(url, content, { ...rules, name }, finish)
    return undefined
  }
  const directory = join(config.data, 'registry')
  await useDirectory(directory, '--data')
  const { restoreSqlite } = await import('../../storage/metadata/backup/sqlite-restore.ts')
  const path = join(directory, 'varve.db')
  return (await restoreSqlite(path, content, { ...rules, replaces }, finish)).movedTo
}

interface Chosen {
  readonly content: SnapshotContent
  readonly summary: BackupSummary
  /** Undefined for a file. */
  readonly record: BackupRecord | undefined
}

async function chosen(
  config: Config,
  { backup, from, acceptsUnencrypted }: RestoreChoice,
  objects: ObjectStore,
  options: Abortable,
): Promise<Chosen> {
  const place = from === undefined ? objects : await openDirectory(resolve(from), options)
  const backups = createBackupStore(config, place, { acceptsUnencrypted })
  if (backup.includes('/'))
    return {
      ...(await openContent((use, given) => backups.readFile(resolve(backup), use, given), options)),
      record: undefined,
    }
  const record =
    backup === 'latest'
      ? await latestOf(backups, from, options)
      : await backups.find(parseBackupId(backup), options)
  return { ...(await openContent((use, given) => backups.read(record, use, given), options)), record }
}

/** It may be one that cannot be written to. */
async function openDirectory(path: string, { signal }: Abortable): Promise<ObjectStore> {
  signal?.throwIfAborted()
  const found = await stat(join(path, 'objects')).catch(() => undefined)
  if (found?.isDirectory() === true) return FilesystemObjectStore.forReading(path)
  throw noBackup(path)
}

async function latestOf(
  backups: BackupStore,
  from: string | undefined,
  options: Abortable,
): Promise<BackupRecord> {
  const all = newestFirst(await backups.list(options), Date.now())
  const [newest] = all
  if (newest === undefined) throw noBackup(from)
  const newestOfEach = all.filter(
    (each, index) => all.findIndex(({ instance }) => instance === each.instance) === index,
  )
  if (newestOfEach.length > 1) throw severalRegistries(newestOfEach)
  return newest
}

/** The newest of all may be that of an empty registry, which somebody has started in place of the one that is lost. */
function severalRegistries(newestOfEach: readonly BackupRecord[]): DomainError {
  const shown = newestOfEach.slice(0, maxShown).map(({ id, rows }) => `${id} (${counted(rows, 'row')})`)
  return new DomainError(
    'conflict',
    `The backups are of ${newestOfEach.length} registries, of which each has a latest one; name the one that you mean: ${shown.join(', ')}.`,
    { resource: 'backup' },
  )
}

function noBackup(from: string | undefined): DomainError {
  return new DomainError(
    'not_found',
    from === undefined
      ? 'There is no backup in the object store of the configuration; name one with --from DIRECTORY, or by the path of its data.'
      : `There is no backup in ${from}; --from wants a directory that \`varve backup --to\` has written.`,
    { resource: 'backup', name: from },
  )
}

/** Compares the database of the configuration with its object store, both ways, after one of them was put back. */
export async function reconcileStores(config: Config, options: Abortable = {}): Promise<ReconcileReport> {
  await using stores = await openStores(config, { migrate: config.database.migrate, ...options })
  await using audit = await SystemAudit.open(config.audit.file)
  await audit.tell(stores.metadata, { operation: 'scrub.reconcile', outcome: 'allowed' })
  return await reconcile({ records: stores.metadata, objects: stores.objects }, { ...options, pauseMs })
}

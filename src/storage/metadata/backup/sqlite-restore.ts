import { randomBytes } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { link, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as others } from 'node:timers/promises'
import { Kysely } from 'kysely'
import { DomainError } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import { syncDirectory } from '../../objects/durable-files.ts'
import { sqliteColumnTypes } from '../column-types.ts'
import { checkMigrations, migrate } from '../migrate.ts'
import type { Metadata } from '../metadata.ts'
import type { Schema } from '../schema.ts'
import { openSqliteMetadata, type SqliteMetadataOptions } from '../sqlite.ts'
import { NodeSqliteDialect } from '../sqlite-dialect.ts'
import { fromSqlite } from '../sqlite-errors.ts'
import { checkShape } from './check-shape.ts'
import { type RestoreRules, restoredRow } from './restored-row.ts'
import type { SnapshotContent, TableShape } from './snapshot.ts'
import { sqliteTables } from './sqlite-catalog.ts'
import { contentTableNames, quoted } from './tables.ts'

export interface SqliteRestoreOptions extends Abortable, RestoreRules, Pick<SqliteMetadataOptions, 'keep'> {
  /** Whether a file with content, or a damaged one, is moved aside; refused otherwise. */
  readonly replaces: boolean
}

export interface SqliteRestored {
  /** Where the file went that was there before; undefined when there was none, or an empty one. */
  readonly movedTo: string | undefined
}

/**
 * Fills a new file, lets `finish` work on it, and gives it its name in the end: whatever happens before changes nothing.
 *
 * @throws DomainError `conflict` when a process has the database open or restores it, or it is not empty; `unsupported` for a
 * backup of a newer Varve; `invalid` for one that does not fit together.
 */
export async function restoreSqlite(
  path: string,
  content: SnapshotContent,
  options: SqliteRestoreOptions,
  finish: (metadata: Metadata) => Promise<void>,
): Promise<SqliteRestored> {
  options.signal?.throwIfAborted()
  checkMigrations(content.shape.migrations, 'The backup')
  try {
    using _alone = onlyOne(path)
    const unfinished = await newFileBeside(path)
    try {
      checkReplaceable(path, options.replaces)
      await fill(unfinished, content, options)
      {
        await using metadata = await openSqliteMetadata(unfinished, {
          keep: options.keep,
          signal: options.signal,
        })
        await finish(metadata)
      }
      settle(unfinished)
      await syncFile(unfinished)
      options.signal?.throwIfAborted()
      return { movedTo: await putInPlace(unfinished, path, options) }
    } finally {
      for (const suffix of suffixes) await rm(`${unfinished}${suffix}`, { force: true })
    }
  } catch (error) {
    throw fromSqlite(error, path)
  }
}

const logSuffixes = ['-journal', '-wal', '-shm']
const suffixes = ['', ...logSuffixes]
const restoreSuffix = '-restore-'

/**
 * Each removes what others have left behind, so there is one at a time. The lock ends with its process.
 * @throws DomainError `conflict`.
 */
function onlyOne(path: string): Disposable {
  const file = `${path}-restoring`
  const lock = new DatabaseSync(file, { timeout: 0 })
  try {
    lock.exec('begin exclusive')
  } catch (error) {
    lock.close()
    if (!hasErrcode(error, busy)) throw error
    throw new DomainError(
      'conflict',
      `The database ${path} cannot be restored: another process restores it at this moment; wait until it has ended.`,
      { resource: 'database', name: path },
      { cause: error },
    )
  }
  return {
    [Symbol.dispose]: () => {
      rmSync(file, { force: true })
      lock.close()
    },
  }
}

/** What earlier attempts have left behind when they were killed goes. */
async function newFileBeside(path: string): Promise<string> {
  const prefix = `${basename(path)}${restoreSuffix}`
  for (const name of await readdir(dirname(path)))
    if (name.startsWith(prefix)) await rm(join(dirname(path), name), { force: true })
  return `${path}${restoreSuffix}${randomBytes(6).toString('hex')}`
}

/** Before the work, so that it is not in vain; and once more when the file is moved. */
function checkReplaceable(path: string, replaces: boolean): void {
  if (!existsSync(path)) return
  using _held = hold(path, replaces)
}

/** From the beginning on there is a file of that name, so that nobody who starts meanwhile makes one. */
async function putInPlace(
  unfinished: string,
  path: string,
  { replaces, now }: Pick<SqliteRestoreOptions, 'replaces' | 'now'>,
): Promise<string | undefined> {
  const aside = freeName(
    `${path}-replaced-${new Date(now).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}`,
  )
  // SQLite deletes the log of a file that is not there.
  if (!existsSync(path)) await moveLogs(path, aside)
  // Held until the new file has the name: who opens the old one meanwhile waits, and is then told that it was moved.
  using held = hold(path, replaces)
  held.fillEmpty()
  const movedTo = held.isWorthKeeping ? aside : undefined
  if (movedTo !== undefined) await nameAlso(path, movedTo)
  try {
    // SQLite would take the log of the file that was there for that of the new one, and write it over all of it.
    await moveLogs(path, aside)
    await rename(unfinished, path)
  } catch (error) {
    if (movedTo !== undefined && existsSync(path)) await rm(movedTo, { force: true })
    throw error
  }
  await syncDirectory(dirname(path))
  return movedTo
}

/** A second name; where there are none, a new one. */
async function nameAlso(path: string, name: string): Promise<void> {
  try {
    await link(path, name)
  } catch {
    await rename(path, name)
  }
}

async function moveLogs(path: string, aside: string): Promise<void> {
  for (const suffix of logSuffixes)
    if (existsSync(`${path}${suffix}`)) await rename(`${path}${suffix}`, `${aside}${suffix}`)
}

/** What was moved aside before stays what it is. */
function freeName(wanted: string): string {
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? wanted : `${wanted}-${count}`
    if (!suffixes.some(suffix => existsSync(`${name}${suffix}`))) return name
  }
}

interface Held extends Disposable {
  /** It has content, or nobody can say what it has. */
  readonly isWorthKeeping: boolean
  /** Only of a file with something in it does SQLite say that it was moved, to those who had opened it. */
  fillEmpty(): void
}

/** Made when it is not there. Nobody else has the file open then, and all of it is in that one file, unless it is damaged. */
function hold(path: string, replaces: boolean): Held {
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    const state = stateOf(database)
    if (state !== 'is empty' && !replaces)
      throw new DomainError(
        'conflict',
        `The database ${path} ${state}; with --replace it is moved aside, and nothing of it is deleted.`,
        { resource: 'database', name: path },
      )
    return {
      isWorthKeeping: state !== 'is empty',
      fillEmpty: () => {
        if (state === 'is empty') database.exec('pragma user_version = 1; commit; begin exclusive')
      },
      [Symbol.dispose]: () => database.close(),
    }
  } catch (error) {
    database.close()
    if (!hasErrcode(error, busy)) throw error
    throw new DomainError(
      'conflict',
      `The database ${path} is open in another process; stop the registry, then restore.`,
      { resource: 'database', name: path },
      { cause: error },
    )
  }
}

function stateOf(database: DatabaseSync): 'is empty' | 'has content' | 'is damaged' {
  try {
    // Only possible when no other connection has it open: sqlite.org/pragma.html#pragma_journal_mode.
    database.exec('pragma journal_mode = delete')
    // It is kept over the end of a transaction, and no log is.
    database.exec('pragma locking_mode = exclusive; pragma journal_mode = memory; begin exclusive')
    return hasContentIn(database) ? 'has content' : 'is empty'
  } catch (error) {
    // That it is may be why it is restored.
    if (hasErrcode(error, corrupt, notADatabase)) return 'is damaged'
    throw error
  }
}

/** Primary result codes: sqlite.org/rescode.html. */
const busy = 5
const corrupt = 11
const notADatabase = 26

function hasErrcode(error: unknown, ...codes: readonly number[]): boolean {
  return (
    error instanceof Error &&
    'errcode' in error &&
    typeof error.errcode === 'number' &&
    codes.includes(error.errcode & 0xff)
  )
}

function hasContentIn(database: DatabaseSync): boolean {
  return sqliteTables(database)
    .filter(({ name }) => contentTableNames.includes(name))
    .some(({ name }) => database.prepare(`select 1 from ${quoted(name)} limit 1`).get() !== undefined)
}

async function fill(path: string, content: SnapshotContent, options: SqliteRestoreOptions): Promise<void> {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: false })
  const kysely = new Kysely<Schema>({ dialect: new NodeSqliteDialect(database) })
  try {
    // Nobody sees this file before it is whole, and then it is synced.
    database.exec('pragma journal_mode = memory; pragma synchronous = off')
    await migrate(kysely, {
      name: path,
      types: sqliteColumnTypes,
      mayChange: true,
      only: content.shape.migrations,
    })
    const tables = sqliteTables(database)
    checkShape(content.shape.tables, tables)
    database.exec('begin immediate')
    for (const { name } of tables.toReversed()) database.exec(`delete from ${quoted(name)}`)
    for await (const { table, rows } of content.rows(options)) {
      const insert = database.prepare(insertInto(table))
      for (const row of rows) {
        const restored = restoredRow(table, row, options)
        if (restored !== undefined) insert.run(...restored)
      }
      await others(undefined, { signal: options.signal })
    }
    const broken = database.prepare('pragma foreign_key_check').get()
    if (broken !== undefined) throw inconsistent(String(broken['table']))
    database.exec('commit')
  } finally {
    await kysely.destroy()
  }
}

function insertInto({ name, columns }: TableShape): string {
  const names = columns.map(column => quoted(column.name)).join(', ')
  return `insert into ${quoted(name)} (${names}) values (${columns.map(() => '?').join(', ')})`
}

function inconsistent(table: string): DomainError {
  return new DomainError(
    'invalid',
    `The backup does not fit together: rows of ${table} name what is not there.`,
    { resource: 'backup' },
  )
}

/** The log of what was written last goes into the file, so that it is all of the database. */
function settle(path: string): void {
  const database = new DatabaseSync(path)
  try {
    database.exec('pragma journal_mode = delete')
  } finally {
    database.close()
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

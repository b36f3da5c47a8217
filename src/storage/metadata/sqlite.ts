import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import type { Abortable } from '../abortable.ts'
import { sqliteColumnTypes } from './column-types.ts'
import { Database } from './database.ts'
import type { KeepTimes } from './keep-times.ts'
import { type Clock, kyselyMetadata } from './kysely-metadata.ts'
import type { Metadata } from './metadata.ts'
import { migrate } from './migrate.ts'
import type { Schema } from './schema.ts'
import { whileBusy } from './sqlite-busy.ts'
import { NodeSqliteDialect } from './sqlite-dialect.ts'
import { fromSqlite } from './sqlite-errors.ts'
import type { ChangeMark } from './kept-values.ts'

export interface SqliteMetadataOptions extends Abortable {
  readonly now?: Clock | undefined
  /** Whether an old schema is brought up to date, as it is by default; otherwise it is refused. */
  readonly migrate?: boolean | undefined
  /** A day and an hour by default. */
  readonly keep?: KeepTimes | undefined
}

/**
 * Metadata in one SQLite file, which is made when it is missing and brought up to date when it is old. Several
 * processes of one machine may open it. What is acknowledged survives a crash of the machine.
 *
 * @throws DomainError `unavailable` when the file cannot be opened and written, `unsupported` when a newer Varve
 * has changed it, or when it is old and may not be changed.
 */
export async function openSqliteMetadata(
  path: string,
  { signal, now = Date.now, migrate: mayChange = true, keep }: SqliteMetadataOptions = {},
): Promise<Metadata> {
  signal?.throwIfAborted()
  const convert = (error: unknown) => fromSqlite(error, path)
  try {
    const file = await whileBusy(() => openFile(path))
    const dialect = new NodeSqliteDialect(file)
    const kysely = new Kysely<Schema>({ dialect })
    try {
      await migrate(kysely, { name: path, types: sqliteColumnTypes, mayChange })
    } catch (error) {
      await kysely.destroy()
      throw error
    }
    return kyselyMetadata(
      new Database(kysely, { convert, isTransient: () => false }, changeMarkOf(file, dialect)),
      now,
      keep,
    )
  } catch (error) {
    throw convert(error)
  }
}

/**
 * Commits of other connections change `data_version`, and those of our own do not (sqlite.org/pragma.html): what our own
 * statements may have changed is counted.
 */
function changeMarkOf(database: DatabaseSync, own: Pick<NodeSqliteDialect, 'changes'>): ChangeMark {
  const others = database.prepare('pragma data_version')
  // Asked for each request that shows a password: an object for each row would cost as much as finding the number.
  others.setReturnArrays(true)
  return () => {
    try {
      return JSON.stringify([others.get(), own.changes])
    } catch {
      // It is closed, or cannot be read: the query itself says so.
      return undefined
    }
  }
}

function openFile(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: true })
  try {
    // In WAL mode readers never wait for the writer. FULL, because NORMAL may lose a commit when power fails
    // (sqlite.org/pragma.html#pragma_synchronous), and a push that was acknowledged must not be lost.
    database.exec('pragma journal_mode = wal; pragma synchronous = full')
    // SQLite opens a file that it may not write for reading only, and says so at the first write.
    database.exec('begin immediate; rollback')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import type { KeepTimes } from '../../src/storage/metadata/keep-times.ts'
import { openPostgresMetadata } from '../../src/storage/metadata/postgres.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import type { OpenedMetadata } from '../contract/metadata.ts'
import type { PostgresTestServer } from './postgres.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** With its tables, for what no method tells. */
export interface OpenedTables extends OpenedMetadata {
  readonly rows: (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
}

/** A SQLite database of its own, opened twice. */
export async function openSqliteTwice(now: () => number, keep?: KeepTimes): Promise<OpenedTables> {
  const directory = await temporaryDirectory()
  const path = join(directory.path, 'varve.db')
  const metadata = await openSqliteMetadata(path, { now, keep })
  const replica = await openSqliteMetadata(path, { now, keep })
  const tables = new DatabaseSync(path, { readOnly: true })
  return {
    metadata,
    replica,
    rows: async sql => tables.prepare(sql).all(),
    async close() {
      tables.close()
      await metadata[Symbol.asyncDispose]()
      await replica[Symbol.asyncDispose]()
      await directory.remove()
    },
  }
}

/** A PostgreSQL database of its own, opened twice. */
export async function openPostgresTwice(
  server: PostgresTestServer,
  now: () => number,
  keep?: KeepTimes,
): Promise<OpenedTables> {
  const url = await server.createDatabase()
  const metadata = await openPostgresMetadata(url, { now, keep, poolSize: 16 })
  const replica = await openPostgresMetadata(url, { now, keep, poolSize: 16 })
  const tables = new pg.Client({ connectionString: url })
  await tables.connect()
  return {
    metadata,
    replica,
    rows: async sql => (await tables.query<Record<string, unknown>>(sql)).rows,
    async close() {
      await tables.end()
      await metadata[Symbol.asyncDispose]()
      await replica[Symbol.asyncDispose]()
    },
  }
}

import { join } from 'node:path'
import type { KeepTimes } from '../../src/storage/metadata/keep-times.ts'
import { openPostgresMetadata } from '../../src/storage/metadata/postgres.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import type { OpenedMetadata } from '../contract/metadata.ts'
import type { PostgresTestServer } from './postgres.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** A SQLite database of its own, opened twice. */
export async function openSqliteTwice(now: () => number, keep?: KeepTimes): Promise<OpenedMetadata> {
  const directory = await temporaryDirectory()
  const path = join(directory.path, 'varve.db')
  const metadata = await openSqliteMetadata(path, { now, keep })
  const replica = await openSqliteMetadata(path, { now, keep })
  return {
    metadata,
    replica,
    async close() {
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
): Promise<OpenedMetadata> {
  const url = await server.createDatabase()
  const metadata = await openPostgresMetadata(url, { now, keep, poolSize: 16 })
  const replica = await openPostgresMetadata(url, { now, keep, poolSize: 16 })
  return {
    metadata,
    replica,
    async close() {
      await metadata[Symbol.asyncDispose]()
      await replica[Symbol.asyncDispose]()
    },
  }
}

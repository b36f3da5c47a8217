import type { PostgresPoolClient } from 'kysely'
import { type Abortable, orAbort } from '../../abortable.ts'
import { type PostgresFailures, postgresFailures } from '../postgres-errors.ts'
import { PostgresPool } from '../postgres-pool.ts'
import { databaseNameOf } from '../postgres-url.ts'
import { postgresMigrations, postgresTables } from './postgres-catalog.ts'
import {
  type MetadataSnapshot,
  type Row,
  rowsAtOnceOf,
  type SnapshotShape,
  type TableShape,
  type Value,
} from './snapshot.ts'
import { quoted } from './tables.ts'

const connectTimeoutMs = 10_000

/**
 * A snapshot of a PostgreSQL database: one transaction that sees what was committed when it began. Its statements may take
 * as long as they need, and it waits as long as the reader does.
 *
 * @throws DomainError `unavailable`.
 */
export async function openPostgresSnapshot(url: string, options?: Abortable): Promise<MetadataSnapshot> {
  options?.signal?.throwIfAborted()
  const failures = postgresFailures(databaseNameOf(url))
  const pool = new PostgresPool({ url, size: 1, connectTimeoutMs })
  let client: PostgresPoolClient | undefined
  try {
    client = await orAbort(pool.connect(), options?.signal)
    for (const statement of beginning) await orAbort(client.query(statement, []), options?.signal)
    const shape: SnapshotShape = {
      engine: 'postgres',
      migrations: await postgresMigrations(client),
      tables: await postgresTables(client),
    }
    return new PostgresSnapshot(shape, pool, client, failures)
  } catch (error) {
    client?.release(true)
    await pool.end()
    throw failures.convert(error)
  }
}

const beginning = [
  'begin isolation level repeatable read read only',
  'set local statement_timeout = 0',
  'set local idle_in_transaction_session_timeout = 0',
]

class PostgresSnapshot implements MetadataSnapshot {
  readonly shape: SnapshotShape
  readonly #pool: PostgresPool
  readonly #client: PostgresPoolClient
  readonly #failures: PostgresFailures
  #isClosed = false

  constructor(
    shape: SnapshotShape,
    pool: PostgresPool,
    client: PostgresPoolClient,
    failures: PostgresFailures,
  ) {
    this.shape = shape
    this.#pool = pool
    this.#client = client
    this.#failures = failures
  }

  async *rows(table: TableShape, options?: Abortable): AsyncGenerator<readonly Row[]> {
    const columns = table.columns.map(({ name }) => name)
    const list = columns.map(quoted).join(', ')
    await this.#query(`declare varve_rows no scroll cursor for select ${list} from ${quoted(table.name)}`)
    for (;;) {
      const rows = await orAbort(this.#query(`fetch ${rowsAtOnceOf(table)} from varve_rows`), options?.signal)
      if (rows.length === 0) break
      yield rows.map(row => columns.map(name => row[name] ?? null))
    }
    await this.#query('close varve_rows')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    // Not back to the pool: a statement may be under way, and the transaction ends with its connection.
    this.#client.release(true)
    await this.#pool.end()
  }

  async #query(sql: string): Promise<Readonly<Record<string, Value>>[]> {
    try {
      // The columns that tables have are of these types only: postgres-catalog.ts.
      return (await this.#client.query<Readonly<Record<string, Value>>>(sql, [])).rows
    } catch (error) {
      throw this.#failures.convert(error)
    }
  }
}

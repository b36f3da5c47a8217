import { setTimeout as sleep } from 'node:timers/promises'
import { Kysely, type PostgresPoolClient } from 'kysely'
import { DomainError } from '../../../errors.ts'
import { type Abortable, orAbort } from '../../abortable.ts'
import { postgresColumnTypes } from '../column-types.ts'
import { checkMigrations, migrate } from '../migrate.ts'
import type { Metadata } from '../metadata.ts'
import { openPostgresMetadata, type PostgresMetadataOptions } from '../postgres.ts'
import { MigrationDialect } from '../postgres-dialect.ts'
import { postgresFailures } from '../postgres-errors.ts'
import { PostgresPool } from '../postgres-pool.ts'
import { databaseNameOf } from '../postgres-url.ts'
import type { Schema } from '../schema.ts'
import { checkShape } from './check-shape.ts'
import { postgresMigrations, postgresTables } from './postgres-catalog.ts'
import { unfinishedRestore } from '../setting-records.ts'
import { type RestoreRules, restoredRow } from './restored-row.ts'
import type { Row, SnapshotContent, TableShape } from './snapshot.ts'
import { contentTableNames, quoted } from './tables.ts'

export interface PostgresRestoreOptions
  extends Abortable,
    RestoreRules,
    Pick<PostgresMetadataOptions, 'keep'> {
  /** What is restored, so that an attempt which was broken off can be ended by another one. */
  readonly name: string
}

const connectTimeoutMs = 10_000

/** Values of one statement; PostgreSQL takes 65,535. */
const maxValues = 30_000

/**
 * Fills a database in one transaction, then lets `finish` work on it. Until that has ended, a registry refuses to open the
 * database; the same call ends what was broken off in between.
 *
 * @throws DomainError `conflict` when a registry has the database open, or it has content; `unsupported` for a backup of a
 * newer Varve; `invalid` for one that does not fit together; `unavailable`.
 */
export async function restorePostgres(
  url: string,
  content: SnapshotContent,
  options: PostgresRestoreOptions,
  finish: (metadata: Metadata) => Promise<void>,
): Promise<void> {
  options.signal?.throwIfAborted()
  checkMigrations(content.shape.migrations, 'The backup')
  const name = databaseNameOf(url)
  const failures = postgresFailures(name)
  try {
    const begun = await withClient(url, client => unfinishedIn(client, name))
    if (begun === undefined) await fill(url, name, content, options)
    else if (begun !== wordsOf(options)) throw otherRestore(name, begun)
    {
      await using metadata = await openPostgresMetadata(url, {
        keep: options.keep,
        signal: options.signal,
        isBeingRestored: true,
      })
      await finish(metadata)
    }
    await withClient(url, client => client.query('delete from settings where name = $1', [unfinishedRestore]))
  } catch (error) {
    throw failures.convert(error)
  }
}

async function fill(
  url: string,
  name: string,
  content: SnapshotContent,
  options: PostgresRestoreOptions,
): Promise<void> {
  const { migrations } = content.shape
  await withClient(url, async client => {
    await checkAlone(client, name)
    const executed = await postgresMigrations(client)
    if (executed.length > 0) await checkEmpty(client, name)
    if (executed.length > 0 && executed.join() !== migrations.join())
      throw new DomainError(
        'conflict',
        `The database ${name} has the tables of another version than the backup; create a new database, and name it in database.url.`,
        { resource: 'database', name },
      )
  })
  const kysely = new Kysely<Schema>({
    dialect: new MigrationDialect(new PostgresPool({ url, size: 1, connectTimeoutMs })),
  })
  try {
    await migrate(kysely, { name, types: postgresColumnTypes, mayChange: true, only: migrations })
  } finally {
    await kysely.destroy()
  }
  await withClient(url, async client => {
    const query = (sql: string, values: readonly unknown[] = []) =>
      orAbort(client.query(sql, values), options.signal)
    await query('begin')
    await query('set local statement_timeout = 0')
    await query('set local idle_in_transaction_session_timeout = 0')
    const tables = await postgresTables(client)
    checkShape(content.shape.tables, tables)
    // Nobody writes between the look and the filling.
    await query(`lock table ${tables.map(table => quoted(table.name)).join(', ')} in access exclusive mode`)
    // A registry may have come since the first look, and keep what it has read of the empty tables.
    await checkAlone(client, name)
    await checkEmpty(client, name)
    for (const table of tables.toReversed()) await query(`delete from ${quoted(table.name)}`)
    for await (const { table, rows } of content.rows(options)) {
      const restored = rows.map(row => restoredRow(table, row, options)).filter(row => row !== undefined)
      await insert(query, table, restored)
    }
    await setCounters(query)
    await query('insert into settings (name, value) values ($1, $2)', [unfinishedRestore, wordsOf(options)])
    await query('commit')
  })
}

type Query = (sql: string, values?: readonly unknown[]) => Promise<{ readonly rows: readonly unknown[] }>

async function insert(query: Query, { name, columns }: TableShape, rows: readonly Row[]): Promise<void> {
  const names = columns.map(column => quoted(column.name)).join(', ')
  const atOnce = Math.max(Math.floor(maxValues / columns.length), 1)
  for (let start = 0; start < rows.length; start += atOnce) {
    const batch = rows.slice(start, start + atOnce)
    const places = batch.map(
      (_, row) => `(${columns.map((__, column) => `$${row * columns.length + column + 1}`).join(', ')})`,
    )
    // What counts itself up elsewhere comes with its number.
    await query(
      `insert into ${quoted(name)} (${names}) overriding system value values ${places.join(', ')}`,
      batch.flat(),
    )
  }
}

/** The next row of a table that counts its rows gets a number that none has had. */
async function setCounters(query: Query): Promise<void> {
  const { rows } = await query(
    `select table_name::text, column_name::text from information_schema.columns
      where table_schema = current_schema() and is_identity = 'YES'`,
  )
  for (const { table_name: table, column_name: column } of rows as readonly CounterRow[])
    await query(
      `select setval(pg_get_serial_sequence($1, $2), greatest((select max(${quoted(column)}) from ${quoted(table)}), 1),
        exists (select 1 from ${quoted(table)}))`,
      [quoted(table), column],
    )
}

interface CounterRow {
  readonly table_name: string
  readonly column_name: string
}

async function withClient<Result>(
  url: string,
  work: (client: PostgresPoolClient) => Promise<Result>,
): Promise<Result> {
  const pool = new PostgresPool({ url, size: 1, connectTimeoutMs })
  try {
    const client = await pool.connect()
    try {
      await client.query("set application_name = 'varve restore'", [])
      return await work(client)
    } finally {
      // A transaction that has not been committed ends with it.
      client.release(true)
    }
  } finally {
    await pool.end()
  }
}

/** A connection that has just been closed is there for a moment longer. */
const lingerMs = 3_000

/** Connections of a registry say so. What another user's are is not shown to everybody. */
async function checkAlone(client: PostgresPoolClient, name: string): Promise<void> {
  const until = performance.now() + lingerMs
  for (;;) {
    // A transaction goes on seeing the connections of its first look.
    await client.query('select pg_stat_clear_snapshot()', [])
    const { rows } = await client.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity
        where datname = current_database() and application_name = 'varve'`,
      [],
    )
    const count = rows[0]?.count ?? 0
    if (count === 0) return
    if (performance.now() > until)
      throw new DomainError(
        'conflict',
        `The database ${name} is open in ${count} connections of a Varve; stop the registry, and let a pooler in between close its connections, then restore.`,
        { resource: 'database', name },
      )
    await sleep(100)
  }
}

async function checkEmpty(client: PostgresPoolClient, name: string): Promise<void> {
  for (const table of await postgresTables(client)) {
    if (!contentTableNames.includes(table.name)) continue
    const { rows } = await client.query(`select 1 from ${quoted(table.name)} limit 1`, [])
    if (rows.length > 0)
      throw new DomainError(
        'conflict',
        `The database ${name} has content; create a new one, and name it in database.url.`,
        { resource: 'database', name },
      )
  }
}

async function unfinishedIn(client: PostgresPoolClient, name: string): Promise<string | undefined> {
  if ((await postgresMigrations(client)).length === 0) return undefined
  const { rows } = await client.query<{ value: string }>('select value from settings where name = $1', [
    unfinishedRestore,
  ])
  if (rows[0] !== undefined) await checkAlone(client, name)
  return rows[0]?.value
}

/** What `varve restore` was called with, as far as it has changed what the rows are: only the same call ends it. */
function wordsOf({ name, revokesTokens }: Pick<PostgresRestoreOptions, 'name' | 'revokesTokens'>): string {
  return revokesTokens ? `${name} --revoke-tokens` : name
}

function otherRestore(name: string, begun: string): DomainError {
  return new DomainError(
    'conflict',
    `Another restore (of ${begun}) has begun in the database ${name}; end that, or create a new database.`,
    { resource: 'database', name },
  )
}

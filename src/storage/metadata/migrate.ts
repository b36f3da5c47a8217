import type { Kysely } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import { DomainError } from '../../errors.ts'
import type { ColumnTypes } from './column-types.ts'
import { initial } from './migrations/0001-initial.ts'
import { events } from './migrations/0002-events.ts'
import { settings } from './migrations/0003-settings.ts'
import { tailDigest } from './migrations/0004-tail-digest.ts'
import { accounts } from './migrations/0005-accounts.ts'
import { audit } from './migrations/0006-audit.ts'
import { usage } from './migrations/0007-usage.ts'
import { mirror } from './migrations/0008-mirror.ts'
import { collect } from './migrations/0009-collect.ts'
import { lifeCycle } from './migrations/0010-life-cycle.ts'
import { runEvents } from './migrations/0011-run-events.ts'
import type { Schema } from './schema.ts'

type Migrate = (db: Kysely<unknown>, types: ColumnTypes) => Promise<void>

/** Every change of the schema, oldest first. Never edit one that has been released; add another. */
const migrations: Readonly<Record<string, Migrate>> = {
  '0001-initial': initial,
  '0002-events': events,
  '0003-settings': settings,
  '0004-tail-digest': tailDigest,
  '0005-accounts': accounts,
  '0006-audit': audit,
  '0007-usage': usage,
  '0008-mirror': mirror,
  '0009-collect': collect,
  '0010-life-cycle': lifeCycle,
  '0011-run-events': runEvents,
}

export interface MigrateOptions {
  /** Of the database, for messages. */
  readonly name: string
  readonly types: ColumnTypes
  /** Whether an old schema is brought up to date; otherwise it is refused. */
  readonly mayChange: boolean
  /** Changes that are made; all unless given. The first ones, without a gap: {@link checkMigrations}. */
  readonly only?: readonly string[] | undefined
}

/**
 * Whether this version knows the changes that a database has had, when it is not there itself but in a backup.
 *
 * @param what the backup, for messages.
 * @throws DomainError `unsupported`.
 */
export function checkMigrations(executed: readonly string[], what: string): void {
  const known = Object.keys(migrations)
  const unknown = executed.filter(title => !known.includes(title))
  if (unknown.length > 0)
    throw new DomainError(
      'unsupported',
      `${what} was made by a newer Varve (${unknown.slice(0, 5).join(', ').slice(0, 200)}); restore it with that version.`,
      { resource: 'backup' },
    )
  if (executed.length === 0 || executed.some((title, index) => title !== known[index]))
    throw new DomainError('invalid', `${what} is none of a Varve: its schema is not known.`, {
      resource: 'backup',
    })
}

/**
 * Brings the schema up to date, in one transaction. Processes that start at the same time wait for one another.
 *
 * @throws DomainError `unsupported` when a newer Varve has changed the database already, or when it is old and may
 * not be changed.
 */
export async function migrate(
  db: Kysely<Schema>,
  { name, types, mayChange, only }: MigrateOptions,
): Promise<void> {
  const executed = await executedMigrations(db)
  const unknown = executed.filter(title => !Object.hasOwn(migrations, title))
  if (unknown.length > 0)
    throw unsupported(
      name,
      `was changed by a newer Varve (${unknown.join(', ')}); run that version or restore a backup`,
    )
  const wanted = only ?? Object.keys(migrations)
  const pending = wanted.filter(title => !executed.includes(title))
  if (pending.length === 0) return
  if (!mayChange)
    throw unsupported(name, `lacks changes of its schema (${pending.join(', ')}); run \`varve db migrate\``)
  await db.transaction().execute(async transaction => {
    // The migrator does so as well, but not before it has made its own tables.
    await transaction.getExecutor().adapter.acquireMigrationLock(transaction, migratorLock)
    const { error } = await new Migrator({
      db: transaction,
      provider: { getMigrations: async () => provided(types, wanted) },
    }).migrateToLatest()
    if (error !== undefined)
      throw error instanceof Error ? error : new Error('a migration failed', { cause: error })
  })
}

/** Kysely's own names. */
const migratorLock = { lockTable: 'kysely_migration_lock', lockRowId: 'migration_lock' } as const

function provided(types: ColumnTypes, wanted: readonly string[]): Record<string, Migration> {
  return Object.fromEntries(
    Object.entries(migrations)
      .filter(([title]) => wanted.includes(title))
      .map(([title, run]) => [title, { up: db => run(db, types) }]),
  )
}

async function executedMigrations(db: Kysely<Schema>): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(table => table.name === migrationTable)) return []
  const rows = await db.withTables<MigrationTables>().selectFrom(migrationTable).select('name').execute()
  return rows.map(row => row.name)
}

function unsupported(name: string, why: string): DomainError {
  return new DomainError('unsupported', `The database ${name} ${why}.`, { resource: 'database', name })
}

/** Kysely's own default. */
const migrationTable = 'kysely_migration'

type MigrationTables = {
  kysely_migration: { name: string }
}

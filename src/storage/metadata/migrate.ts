import type { Kysely } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import { DomainError } from '../../errors.ts'
import type { ColumnTypes } from './column-types.ts'
import { initial } from './migrations/0001-initial.ts'
import type { Schema } from './schema.ts'

type Migrate = (db: Kysely<unknown>, types: ColumnTypes) => Promise<void>

/** Every change of the schema, oldest first. Never edit one that has been released; add another. */
const migrations: Readonly<Record<string, Migrate>> = { '0001-initial': initial }

/**
 * Brings the schema up to date. Processes that start at the same time wait for one another.
 *
 * @throws DomainError `unsupported` when a newer Varve has changed the database already.
 */
export async function migrate(db: Kysely<Schema>, types: ColumnTypes, name: string): Promise<void> {
  const provided = Object.fromEntries(
    Object.entries(migrations).map(([title, run]): [string, Migration] => [
      title,
      { up: db => run(db, types) },
    ]),
  )
  const migrator = new Migrator({ db, provider: { getMigrations: async () => provided } })
  const unknown = (await executedMigrations(db)).filter(title => !Object.hasOwn(provided, title))
  if (unknown.length > 0)
    throw new DomainError(
      'unsupported',
      `The database ${name} was changed by a newer Varve (${unknown.join(', ')}); run that version or restore a backup.`,
      { resource: 'database', name },
    )
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined)
    throw error instanceof Error ? error : new Error('a migration failed', { cause: error })
}

async function executedMigrations(db: Kysely<Schema>): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(table => table.name === migrationTable)) return []
  const rows = await db.withTables<MigrationTables>().selectFrom(migrationTable).select('name').execute()
  return rows.map(row => row.name)
}

/** Kysely's own default. */
const migrationTable = 'kysely_migration'

type MigrationTables = {
  kysely_migration: { name: string }
}

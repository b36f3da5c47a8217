import type { DatabaseSync } from 'node:sqlite'
import type { ColumnKind, TableShape } from './snapshot.ts'
import { quoted, tableNames } from './tables.ts'

/** Titles of the changes that its schema has had; none of a database without tables. */
export function sqliteMigrations(database: DatabaseSync): string[] {
  if (!namesOfTables(database).has('kysely_migration')) return []
  return database
    .prepare('select name from kysely_migration order by name')
    .all()
    .map(({ name }) => String(name))
}

/** Our tables, as they are. */
export function sqliteTables(database: DatabaseSync): TableShape[] {
  const there = namesOfTables(database)
  return tableNames
    .filter(name => there.has(name))
    .map(name => ({
      name,
      columns: database
        .prepare(`pragma table_info(${quoted(name)})`)
        .all()
        .map(column => ({ name: String(column['name']), type: kindOf(String(column['type'])) })),
    }))
}

function namesOfTables(database: DatabaseSync): Set<string> {
  return new Set(
    database
      .prepare("select name from sqlite_master where type = 'table'")
      .all()
      .map(({ name }) => String(name)),
  )
}

/** As column-types.ts declares them. */
function kindOf(type: string): ColumnKind {
  switch (type.toLowerCase()) {
    case 'text':
      return 'text'
    case 'blob':
      return 'bytes'
    case 'bigint':
    case 'integer':
      return 'integer'
    default:
      throw new Error(`a column of the type ${type} is in no backup`)
  }
}

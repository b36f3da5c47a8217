import type { PostgresPoolClient } from 'kysely'
import type { ColumnKind, TableShape } from './snapshot.ts'
import { tableNames } from './tables.ts'

type Client = Pick<PostgresPoolClient, 'query'>

/** Titles of the changes that its schema has had; none of a database without tables. */
export async function postgresMigrations(client: Client): Promise<string[]> {
  const { rows: found } = await client.query<{ name: string | null }>(
    "select to_regclass('kysely_migration')::text as name",
    [],
  )
  if ((found[0]?.name ?? null) === null) return []
  const { rows } = await client.query<{ name: string }>(
    'select name from kysely_migration order by name collate "C"',
    [],
  )
  return rows.map(({ name }) => name)
}

interface ColumnRow {
  readonly table_name: string
  readonly column_name: string
  readonly data_type: string
}

/** Our tables, as they are. */
export async function postgresTables(client: Client): Promise<TableShape[]> {
  const { rows } = await client.query<ColumnRow>(
    `select table_name::text, column_name::text, data_type::text from information_schema.columns
      where table_schema = current_schema() order by ordinal_position`,
    [],
  )
  return tableNames
    .map(name => ({
      name,
      columns: rows
        .filter(row => row.table_name === name)
        .map(row => ({ name: row.column_name, type: kindOf(row.data_type) })),
    }))
    .filter(({ columns }) => columns.length > 0)
}

/** As column-types.ts declares them. */
function kindOf(type: string): ColumnKind {
  switch (type) {
    case 'text':
      return 'text'
    case 'bytea':
      return 'bytes'
    case 'bigint':
      return 'integer'
    default:
      throw new Error(`a column of the type ${type} is in no backup`)
  }
}

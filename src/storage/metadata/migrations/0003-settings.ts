import type { Kysely } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

/** What processes have agreed on. */
export async function settings(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('settings')
    .addColumn('name', types.text, column => column.primaryKey())
    .addColumn('value', types.text, column => column.notNull())
    .execute()
}

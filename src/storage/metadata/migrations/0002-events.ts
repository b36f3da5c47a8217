import { type Kysely, sql } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

export async function events(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const { schema } = db
  await schema
    .createTable('events')
    .addColumn('serial', types.counter, column => column.primaryKey())
    .addColumn('position', types.integer)
    .addColumn('id', types.text, column => column.notNull())
    .addColumn('at', types.integer, column => column.notNull())
    .addColumn('kind', types.text, column => column.notNull())
    .addColumn('action', types.text, column => column.notNull())
    .addColumn('repository', types.text, column => column.notNull())
    .addColumn('digest', types.text, column => column.notNull())
    .addColumn('tag', types.text)
    .addColumn('media_type', types.text)
    .addColumn('size', types.integer)
    .addColumn('previous', types.text)
    .addColumn('from_repository', types.text)
    .addColumn('requester', types.text)
    .execute()
  // Each event is in one of them only, so that writing it costs little.
  await schema
    .createIndex('events_by_position')
    .unique()
    .on('events')
    .column('position')
    .where('position', 'is not', null)
    .execute()
  await schema
    .createIndex('events_without_position')
    .on('events')
    .column('serial')
    .where(sql.ref('position'), 'is', null)
    .execute()

  // So that the statement that sets a tag can answer what it named before.
  await schema.alterTable('tags').addColumn('previous', types.text).execute()

  await schema
    .createTable('event_sequence')
    .addColumn('newest', types.integer, column => column.notNull())
    .execute()
  await db
    .withTables<{ event_sequence: { newest: number } }>()
    .insertInto('event_sequence')
    .values({ newest: 0 })
    .execute()

  await schema
    .createTable('event_endpoints')
    .addColumn('name', types.text, column => column.primaryKey())
    .addColumn('position', types.integer, column => column.notNull())
    .addColumn('failures', types.integer, column => column.notNull())
    .addColumn('next_attempt_at', types.integer)
    .addColumn('holder', types.text)
    .addColumn('lease_until', types.integer)
    .execute()
}

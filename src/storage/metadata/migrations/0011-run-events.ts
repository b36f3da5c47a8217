import { type Kysely, sql } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

/** Events that are not of the content have no repository and no digest. And what tags were mirrored by is remembered. */
export async function runEvents(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await db.schema.alterTable('mirror_tags').addColumn('scope', types.text).execute()
  if (types.engine === 'sqlite') await makeAnew(db, types)
  else
    await db.schema
      .alterTable('events')
      .alterColumn('repository', column => column.dropNotNull())
      .alterColumn('digest', column => column.dropNotNull())
      .addColumn('detail', types.text)
      .execute()
}

const kept = [
  'serial',
  'position',
  'id',
  'at',
  'kind',
  'action',
  'repository',
  'digest',
  'tag',
  'media_type',
  'size',
  'previous',
  'from_repository',
  'requester',
]

/** SQLite takes no `not null` away: sqlite.org/lang_altertable.html, section 7. */
async function makeAnew(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const { schema } = db
  await schema
    .createTable('events_anew')
    .addColumn('serial', types.counter, column => column.primaryKey())
    .addColumn('position', types.integer)
    .addColumn('id', types.text, column => column.notNull())
    .addColumn('at', types.integer, column => column.notNull())
    .addColumn('kind', types.text, column => column.notNull())
    .addColumn('action', types.text, column => column.notNull())
    .addColumn('repository', types.text)
    .addColumn('digest', types.text)
    .addColumn('tag', types.text)
    .addColumn('media_type', types.text)
    .addColumn('size', types.integer)
    .addColumn('previous', types.text)
    .addColumn('from_repository', types.text)
    .addColumn('requester', types.text)
    .addColumn('detail', types.text)
    .execute()
  const columns = sql.join(kept.map(column => sql.ref(column)))
  await sql`insert into events_anew (${columns}) select ${columns} from events order by serial`.execute(db)
  // Its indexes go with it.
  await schema.dropTable('events').execute()
  await schema.alterTable('events_anew').renameTo('events').execute()
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
}

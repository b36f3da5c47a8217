import { type Kysely, sql } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

const dayMs = 24 * 60 * 60 * 1000

/** What the garbage collection has to look at, and when; what it has done so far. */
export async function collect(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const { schema } = db
  await schema.alterTable('blob_links').addColumn('review_at', types.integer).execute()
  await schema
    .alterTable('blob_links')
    .addColumn('kept_until', types.integer, column => column.notNull().defaultTo(0))
    .execute()
  await schema.alterTable('manifests').addColumn('review_at', types.integer).execute()
  await schema
    .alterTable('manifests')
    .addColumn('released_at', types.integer, column => column.notNull().defaultTo(0))
    .execute()
  await schema
    .alterTable('manifests')
    .addColumn('lost_subject', types.integer, column => column.notNull().defaultTo(0))
    .execute()
  await schema.alterTable('repositories').addColumn('review_at', types.integer).execute()
  await schema.alterTable('garbage').addColumn('digest', types.text).execute()
  await schema.alterTable('garbage').addColumn('size', types.integer).execute()

  await schema
    .createTable('collect_state')
    .addColumn('paused_at', types.integer)
    .addColumn('paused_by', types.text)
    .addColumn('untagged_after', types.text)
    .addColumn('untagged_done', types.integer, column => column.notNull())
    .addColumn('forgotten_at', types.integer, column => column.notNull())
    .addColumn('forgotten_among', types.text)
    .addColumn('forgotten_repository', types.text)
    .addColumn('forgotten_digest', types.text)
    .addColumn('ticked_at', types.integer)
    .addColumn('links', types.integer, column => column.notNull())
    .addColumn('blobs', types.integer, column => column.notNull())
    .addColumn('manifests', types.integer, column => column.notNull())
    .addColumn('repositories', types.integer, column => column.notNull())
    .addColumn('objects', types.integer, column => column.notNull())
    .addColumn('bytes', types.integer, column => column.notNull())
    .execute()
  await sql`
    insert into collect_state
      (untagged_done, forgotten_at, links, blobs, manifests, repositories, objects, bytes)
    values (0, 0, 0, 0, 0, 0, 0, 0)`.execute(db)

  await enqueue(db, Date.now())

  // After the rows, so that they are written once. What is named, and that is nearly everything, is in none of them.
  for (const table of ['blob_links', 'manifests', 'repositories'])
    await schema
      .createIndex(`${table}_by_review`)
      .on(table)
      .column('review_at')
      .where(sql.ref('review_at'), 'is not', null)
      .execute()
  await schema
    .createIndex('garbage_by_digest')
    .on('garbage')
    .column('digest')
    .where(sql.ref('digest'), 'is not', null)
    .execute()
}

/** What is there and may be needed no more. It stays for another day: somebody may have been told a moment ago that it is there. */
async function enqueue(db: Kysely<unknown>, now: number): Promise<void> {
  const later = now + dayMs
  // What an older Varve has unlinked everywhere, and still keeps.
  await sql`
    insert into garbage (object_key, since, digest, size)
    select object_key, ${later}, digest, size from blobs
      where not exists (select 1 from blob_links where blob_links.digest = blobs.digest)
    on conflict (object_key) do nothing`.execute(db)
  await sql`
    delete from blobs
      where not exists (select 1 from blob_links where blob_links.digest = blobs.digest)`.execute(db)
  await sql`
    update blob_links set review_at = ${later}, kept_until = ${later}
      where not exists (
        select 1 from manifest_references as reference
          where reference.repository = blob_links.repository and reference.digest = blob_links.digest)`.execute(
    db,
  )
  await sql`
    update repositories set review_at = ${later}
      where not exists (select 1 from manifests where manifests.repository = repositories.name)
        and not exists (select 1 from blob_links where blob_links.repository = repositories.name)`.execute(db)
}

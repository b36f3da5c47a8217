import { type Kysely, sql } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

/** What was deleted and can be taken back, what tags named before, what is dropped by rules, and what is found damaged. */
export async function lifeCycle(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const { schema } = db
  await schema.alterTable('repositories').addColumn('deleted_at', types.integer).execute()
  await schema.alterTable('repositories').addColumn('moving', types.text).execute()
  await schema.alterTable('repositories').addColumn('requester', types.text).execute()
  await schema
    .createIndex('repositories_moving')
    .on('repositories')
    .column('name')
    .where(sql.ref('moving'), 'is not', null)
    .execute()
  await schema
    .alterTable('manifests')
    .addColumn('dropped', types.integer, column => column.notNull().defaultTo(0))
    .execute()

  await schema
    .createTable('deleted_manifests')
    .addColumn('repository', types.text, column => column.notNull().references('repositories.name'))
    .addColumn('digest', types.text, column => column.notNull())
    .addColumn('media_type', types.text, column => column.notNull())
    .addColumn('size', types.integer, column => column.notNull())
    .addColumn('bytes', types.bytes, column => column.notNull())
    .addColumn('subject', types.text)
    .addColumn('created_at', types.integer, column => column.notNull())
    .addColumn('deleted_at', types.integer, column => column.notNull())
    .addColumn('deleted_by', types.text)
    .addColumn('goes_at', types.integer, column => column.notNull())
    .addPrimaryKeyConstraint('deleted_manifests_key', ['repository', 'digest'])
    .execute()
  await schema.createIndex('deleted_manifests_by_end').on('deleted_manifests').column('goes_at').execute()
  await schema
    .createIndex('deleted_manifests_by_time')
    .on('deleted_manifests')
    .columns(['repository', 'deleted_at', 'digest'])
    .execute()
  await schema
    .createIndex('deleted_manifests_by_subject')
    .on('deleted_manifests')
    .columns(['repository', 'subject'])
    .execute()
  await schema
    .createTable('deleted_references')
    .addColumn('repository', types.text, column => column.notNull())
    .addColumn('manifest', types.text, column => column.notNull())
    .addColumn('digest', types.text, column => column.notNull())
    .addPrimaryKeyConstraint('deleted_references_key', ['repository', 'manifest', 'digest'])
    .addForeignKeyConstraint(
      'deleted_references_manifest',
      ['repository', 'manifest'],
      'deleted_manifests',
      ['repository', 'digest'],
      key => key.onDelete('cascade'),
    )
    .execute()
  await schema
    .createIndex('deleted_references_by_digest')
    .on('deleted_references')
    // With the manifest, or SQLite prefers the key, which begins with it, and goes through the whole repository.
    .columns(['repository', 'digest', 'manifest'])
    .execute()

  await schema
    .createTable('tag_history')
    .addColumn('serial', types.counter, column => column.primaryKey())
    .addColumn('repository', types.text, column => column.notNull())
    .addColumn('tag', types.text, column => column.notNull())
    .addColumn('cause', types.text, column => column.notNull())
    .addColumn('digest', types.text)
    .addColumn('previous', types.text)
    .addColumn('at', types.integer, column => column.notNull())
    .addColumn('account', types.text)
    .execute()
  await schema
    .createIndex('tag_history_by_tag')
    .on('tag_history')
    .columns(['repository', 'tag', 'serial'])
    .execute()
  await schema.createIndex('tag_history_by_time').on('tag_history').columns(['at', 'serial']).execute()

  await schema
    .createTable('retention_policies')
    .addColumn('serial', types.counter, column => column.primaryKey())
    .addColumn('id', types.text, column => column.notNull().unique())
    .addColumn('tenant', types.text, column =>
      column.notNull().references('tenants.name').onDelete('cascade'),
    )
    .addColumn('rules', types.text, column => column.notNull())
    .addColumn('created_at', types.integer, column => column.notNull())
    .execute()
  await schema
    .createTable('tag_expiries')
    .addColumn('repository', types.text, column => column.notNull())
    .addColumn('tag', types.text, column => column.notNull())
    .addColumn('digest', types.text, column => column.notNull())
    .addColumn('tag_set_at', types.integer, column => column.notNull())
    .addColumn('expires_at', types.integer)
    .addColumn('source', types.text, column => column.notNull())
    .addPrimaryKeyConstraint('tag_expiries_key', ['repository', 'tag'])
    .execute()
  await schema.createIndex('tag_expiries_by_time').on('tag_expiries').column('expires_at').execute()
  await schema
    .createTable('retention_state')
    .addColumn('began_at', types.integer)
    .addColumn('ended_at', types.integer)
    .addColumn('place', types.text)
    .addColumn('repositories', types.integer, column => column.notNull())
    .addColumn('tags', types.integer, column => column.notNull())
    .addColumn('manifests', types.integer, column => column.notNull())
    .addColumn('skipped', types.integer, column => column.notNull())
    .addColumn('labels_at', types.integer, column => column.notNull())
    .execute()
  // Labels of what was pushed before count from its next push on.
  await sql`
    insert into retention_state (repositories, tags, manifests, skipped, labels_at)
      select 0, 0, 0, 0, newest from event_sequence`.execute(db)

  await schema
    .createTable('blob_faults')
    .addColumn('digest', types.text, column => column.primaryKey())
    .addColumn('object_key', types.text, column => column.notNull())
    .addColumn('kind', types.text, column => column.notNull())
    .addColumn('detail', types.text, column => column.notNull())
    .addColumn('found_at', types.integer, column => column.notNull())
    .execute()
  await schema
    .createTable('stray_objects')
    .addColumn('object_key', types.text, column => column.primaryKey())
    .addColumn('size', types.integer, column => column.notNull())
    .addColumn('digest', types.text)
    .addColumn('found_at', types.integer, column => column.notNull())
    .execute()
  await schema.createIndex('stray_objects_by_time').on('stray_objects').column('found_at').execute()
  await schema.createIndex('stray_objects_by_size').on('stray_objects').column('size').execute()
  // What the store lists is looked up by key.
  await schema.createIndex('blobs_by_object').on('blobs').column('object_key').execute()
  await schema
    .createTable('scrub_state')
    .addColumn('began_at', types.integer)
    .addColumn('ended_at', types.integer)
    .addColumn('phase', types.text)
    .addColumn('cursor', types.text)
    .addColumn('pass', types.integer, column => column.notNull())
    .addColumn('pass_known', types.integer, column => column.notNull())
    .addColumn('pass_blobs', types.integer, column => column.notNull())
    .addColumn('pass_missing', types.integer, column => column.notNull())
    .addColumn('takes_all', types.integer, column => column.notNull())
    .addColumn('stopped_at', types.integer)
    .addColumn('blobs', types.integer, column => column.notNull())
    .addColumn('bytes', types.integer, column => column.notNull())
    .addColumn('corrupt', types.integer, column => column.notNull())
    .addColumn('missing', types.integer, column => column.notNull())
    .addColumn('strays', types.integer, column => column.notNull())
    .addColumn('healed', types.integer, column => column.notNull())
    .execute()
  await sql`
    insert into scrub_state (
      pass, pass_known, pass_blobs, pass_missing, takes_all, blobs, bytes, corrupt, missing, strays, healed
    ) values (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)`.execute(db)
}

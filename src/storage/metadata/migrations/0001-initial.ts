import type { Kysely } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

export async function initial(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const { schema } = db
  await schema
    .createTable('repositories')
    .addColumn('name', types.text, column => column.primaryKey())
    .addColumn('created_at', types.integer, column => column.notNull())
    .execute()

  await schema
    .createTable('manifests')
    .addColumn('repository', types.text, column => column.notNull().references('repositories.name'))
    .addColumn('digest', types.text, column => column.notNull())
    .addColumn('media_type', types.text, column => column.notNull())
    .addColumn('size', types.integer, column => column.notNull())
    .addColumn('bytes', types.bytes, column => column.notNull())
    .addColumn('subject', types.text)
    .addColumn('artifact_type', types.text)
    .addColumn('annotations', types.text)
    .addColumn('created_at', types.integer, column => column.notNull())
    .addPrimaryKeyConstraint('manifests_key', ['repository', 'digest'])
    .execute()

  await schema
    .createIndex('manifests_by_subject')
    .on('manifests')
    .columns(['repository', 'subject', 'created_at', 'digest'])
    .execute()

  await schema
    .createTable('manifest_references')
    .addColumn('repository', types.text, column => column.notNull())
    .addColumn('manifest', types.text, column => column.notNull())
    .addColumn('position', types.integer, column => column.notNull())
    .addColumn('role', types.text, column => column.notNull())
    .addColumn('digest', types.text, column => column.notNull())
    .addColumn('media_type', types.text, column => column.notNull())
    .addColumn('size', types.integer, column => column.notNull())
    .addPrimaryKeyConstraint('manifest_references_key', ['repository', 'manifest', 'position'])
    .addForeignKeyConstraint(
      'manifest_references_manifest',
      ['repository', 'manifest'],
      'manifests',
      ['repository', 'digest'],
      constraint => constraint.onDelete('cascade'),
    )
    .execute()
  await schema
    .createIndex('manifest_references_by_digest')
    .on('manifest_references')
    .columns(['repository', 'digest'])
    .execute()

  await schema
    .createTable('tags')
    .addColumn('repository', types.text, column => column.notNull())
    .addColumn('name', types.text, column => column.notNull())
    .addColumn('digest', types.text, column => column.notNull())
    .addColumn('updated_at', types.integer, column => column.notNull())
    .addPrimaryKeyConstraint('tags_key', ['repository', 'name'])
    .addForeignKeyConstraint('tags_manifest', ['repository', 'digest'], 'manifests', ['repository', 'digest'])
    .execute()
  await schema.createIndex('tags_by_digest').on('tags').columns(['repository', 'digest']).execute()

  await schema
    .createTable('blobs')
    .addColumn('digest', types.text, column => column.primaryKey())
    .addColumn('object_key', types.text, column => column.notNull())
    .addColumn('size', types.integer, column => column.notNull())
    .addColumn('state', types.text, column => column.notNull())
    .addColumn('created_at', types.integer, column => column.notNull())
    .execute()

  await schema
    .createTable('blob_links')
    .addColumn('repository', types.text, column => column.notNull().references('repositories.name'))
    .addColumn('digest', types.text, column => column.notNull().references('blobs.digest'))
    .addColumn('created_at', types.integer, column => column.notNull())
    .addPrimaryKeyConstraint('blob_links_key', ['repository', 'digest'])
    .execute()
  await schema.createIndex('blob_links_by_digest').on('blob_links').column('digest').execute()

  await schema
    .createTable('uploads')
    .addColumn('id', types.text, column => column.primaryKey())
    .addColumn('repository', types.text, column => column.notNull())
    .addColumn('algorithm', types.text, column => column.notNull())
    .addColumn('object_key', types.text, column => column.notNull())
    .addColumn('part_size', types.integer, column => column.notNull())
    .addColumn('upload_offset', types.integer, column => column.notNull())
    .addColumn('multipart_token', types.text)
    .addColumn('parts', types.text, column => column.notNull())
    .addColumn('tail_key', types.text)
    .addColumn('tail_size', types.integer)
    .addColumn('next_tail_key', types.text)
    .addColumn('hash_state', types.text)
    .addColumn('digest_at_offset', types.text)
    .addColumn('committed', types.text)
    .addColumn('holder', types.text)
    .addColumn('lease_until', types.integer)
    .addColumn('expires_at', types.integer, column => column.notNull())
    .execute()
  await schema.createIndex('uploads_by_expiry').on('uploads').column('expires_at').execute()

  await schema
    .createTable('garbage')
    .addColumn('object_key', types.text, column => column.primaryKey())
    .addColumn('since', types.integer, column => column.notNull())
    .execute()
  await schema.createIndex('garbage_by_time').on('garbage').column('since').execute()
}

import { type Kysely, sql } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

/** What mirror jobs and pull-through remember, and who does what only one may do. */
export async function mirror(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await leases(db, types)
  await jobs(db, types)
  await runs(db, types)
  await fetched(db, types)
}

async function leases({ schema }: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await schema
    .createTable('leases')
    .addColumn('kind', types.text, column => column.notNull())
    .addColumn('name', types.text, column => column.notNull())
    .addColumn('holder', types.text, column => column.notNull())
    .addColumn('lease_until', types.integer, column => column.notNull())
    .addPrimaryKeyConstraint('leases_key', ['kind', 'name'])
    .execute()
  await schema.createIndex('leases_by_end').on('leases').columns(['kind', 'lease_until']).execute()
}

/** Nothing refers to `mirror_jobs`: those of the configuration are not in it. */
async function jobs({ schema }: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await schema
    .createTable('mirror_jobs')
    .addColumn('name', types.text, column => column.primaryKey())
    .addColumn('definition', types.text, column => column.notNull())
    .addColumn('updated_at', types.integer, column => column.notNull())
    .execute()
  await schema
    .createTable('mirror_wishes')
    .addColumn('job', types.text, column => column.primaryKey())
    .addColumn('trigger', types.text, column => column.notNull())
    .addColumn('requester', types.text)
    .addColumn('at', types.integer, column => column.notNull())
    .execute()
  await schema
    .createTable('mirror_tags')
    .addColumn('job', types.text, column => column.notNull())
    .addColumn('target', types.text, column => column.notNull())
    .addColumn('tag', types.text, column => column.notNull())
    .addColumn('digest', types.text, column => column.notNull())
    .addColumn('stored', types.text)
    .addColumn('referrers_at', types.integer, column => column.notNull())
    .addPrimaryKeyConstraint('mirror_tags_key', ['job', 'target', 'tag'])
    .execute()
}

async function runs({ schema }: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await schema
    .createTable('mirror_runs')
    .addColumn('serial', types.counter, column => column.primaryKey())
    .addColumn('id', types.text, column => column.notNull().unique())
    .addColumn('job', types.text, column => column.notNull())
    .addColumn('trigger', types.text, column => column.notNull())
    .addColumn('requester', types.text)
    .addColumn('started_at', types.integer, column => column.notNull())
    .addColumn('totals', types.text, column => column.notNull())
    .addColumn('outcome', types.text)
    .addColumn('reason', types.text)
    .addColumn('ended_at', types.integer)
    .addColumn('resume_at', types.integer)
    .execute()
  await schema.createIndex('mirror_runs_by_job').on('mirror_runs').columns(['job', 'serial']).execute()
  await schema.createIndex('mirror_runs_by_end').on('mirror_runs').columns(['ended_at', 'serial']).execute()
  await schema
    .createIndex('mirror_runs_unended')
    .on('mirror_runs')
    .column('job')
    .where(sql.ref('outcome'), 'is', null)
    .execute()
  await schema
    .createTable('mirror_results')
    .addColumn('serial', types.counter, column => column.primaryKey())
    .addColumn('run', types.text, column => column.notNull().references('mirror_runs.id').onDelete('cascade'))
    .addColumn('source', types.text, column => column.notNull())
    .addColumn('target', types.text, column => column.notNull())
    .addColumn('tag', types.text)
    .addColumn('outcome', types.text, column => column.notNull())
    .addColumn('digest', types.text)
    .addColumn('reason', types.text)
    .addColumn('bytes', types.integer, column => column.notNull())
    .addColumn('at', types.integer, column => column.notNull())
    .execute()
  await schema.createIndex('mirror_results_by_run').on('mirror_results').columns(['run', 'serial']).execute()
}

async function fetched({ schema }: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await schema
    .createTable('transfers')
    .addColumn('repository', types.text, column => column.notNull())
    .addColumn('digest', types.text, column => column.notNull())
    .addColumn('upload', types.text, column => column.notNull().references('uploads.id').onDelete('cascade'))
    .addPrimaryKeyConstraint('transfers_key', ['repository', 'digest'])
    .execute()
  await schema.createIndex('transfers_by_upload').on('transfers').column('upload').execute()

  // No reference: of a repository that upstream does not have either, this is all that there is.
  await schema
    .createTable('upstream_tags')
    .addColumn('repository', types.text, column => column.notNull())
    .addColumn('tag', types.text, column => column.notNull())
    .addColumn('checked_at', types.integer, column => column.notNull())
    .addColumn('digest', types.text)
    .addPrimaryKeyConstraint('upstream_tags_key', ['repository', 'tag'])
    .execute()
  await schema.createIndex('upstream_tags_by_time').on('upstream_tags').column('checked_at').execute()

  await schema
    .createTable('pulled_manifests')
    .addColumn('repository', types.text, column => column.notNull())
    .addColumn('digest', types.text, column => column.notNull())
    .addColumn('at', types.integer, column => column.notNull())
    .addPrimaryKeyConstraint('pulled_manifests_key', ['repository', 'digest'])
    .addForeignKeyConstraint(
      'pulled_manifests_manifest',
      ['repository', 'digest'],
      'manifests',
      ['repository', 'digest'],
      constraint => constraint.onDelete('cascade'),
    )
    .execute()
}

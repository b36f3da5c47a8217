import { type Kysely, sql } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

/** What tenants use, and which of their tags may not be changed. */
export async function usage(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const { schema } = db
  // No references: a repository's tenant need not be known.
  await schema
    .createTable('tenant_usage')
    .addColumn('tenant', types.text, column => column.primaryKey())
    .addColumn('bytes', types.integer, column => column.notNull())
    .addColumn('repositories', types.integer, column => column.notNull())
    .execute()
  await schema
    .createTable('usage_changes')
    .addColumn('serial', types.counter, column => column.primaryKey())
    .addColumn('tenant', types.text, column => column.notNull())
    .addColumn('bytes', types.integer, column => column.notNull())
    .addColumn('repositories', types.integer, column => column.notNull())
    .execute()
  await schema.createIndex('usage_changes_by_tenant').on('usage_changes').column('tenant').execute()
  // For the bytes of a tenant's sessions.
  await schema
    .createIndex('uploads_by_repository')
    .on('uploads')
    .column('repository')
    .where(sql.ref('committed'), 'is', null)
    .execute()

  await schema
    .createTable('tag_rules')
    .addColumn('serial', types.counter, column => column.primaryKey())
    .addColumn('id', types.text, column => column.notNull().unique())
    .addColumn('tenant', types.text, column =>
      column.notNull().references('tenants.name').onDelete('cascade'),
    )
    .addColumn('repositories', types.text, column => column.notNull())
    .addColumn('tags', types.text, column => column.notNull())
    .addColumn('created_at', types.integer, column => column.notNull())
    .execute()
  await schema.createIndex('tag_rules_by_tenant').on('tag_rules').column('tenant').execute()

  await countPresent(db)
}

/** What was stored before anybody counted. A tenant is the first part of a repository's name. */
async function countPresent(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{ name: string }>`select name from repositories`.execute(db)
  const tenants = new Set(rows.map(({ name }) => name.split('/', 1)[0] ?? ''))
  for (const tenant of tenants) {
    const of = (column: string) => {
      const name = sql.ref(column)
      // In byte order '0' comes next after '/'.
      return sql`(${name} = ${tenant} or (${name} >= ${`${tenant}/`} and ${name} < ${`${tenant}0`}))`
    }
    await sql`
      insert into tenant_usage (tenant, bytes, repositories)
      select ${tenant},
        (select coalesce(cast(sum(size) as bigint), 0) from blobs
          where digest in (select digest from blob_links where ${of('repository')})) +
        (select coalesce(cast(sum(size) as bigint), 0) from manifests where ${of('repository')}),
        (select count(*) from repositories where ${of('name')})`.execute(db)
  }
}

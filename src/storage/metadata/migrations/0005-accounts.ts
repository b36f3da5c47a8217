import type { Kysely } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

/** Who there is, what proves it, and what they may do. */
export async function accounts(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await tenants(db, types)
  await identities(db, types)
  const { schema } = db
  await schema
    .createTable('signing_keys')
    .addColumn('id', types.text, column => column.primaryKey())
    .addColumn('jwk', types.text, column => column.notNull())
    .addColumn('created_at', types.integer, column => column.notNull())
    // Unique, so that of two processes that add one at the same time one does.
    .addColumn('predecessor', types.text, column => column.notNull().unique())
    .execute()

  await schema.alterTable('uploads').addColumn('account', types.text).execute()

  // The repositories of a digest that lie in some tenants are found one tenant after another.
  await schema.dropIndex('blob_links_by_digest').execute()
  await schema
    .createIndex('blob_links_by_digest')
    .on('blob_links')
    .columns(['digest', 'repository'])
    .execute()
}

async function tenants({ schema }: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await schema
    .createTable('tenants')
    .addColumn('name', types.text, column => column.primaryKey())
    .addColumn('description', types.text, column => column.notNull())
    .addColumn('visibility', types.text, column => column.notNull())
    .addColumn('quota_bytes', types.integer)
    .addColumn('quota_repositories', types.integer)
    .addColumn('trust_policy', types.text)
    .addColumn('created_at', types.integer, column => column.notNull())
    .execute()
  await schema.createIndex('tenants_by_visibility').on('tenants').columns(['visibility', 'name']).execute()

  await schema
    .createTable('tenant_members')
    .addColumn('tenant', types.text, column =>
      column.notNull().references('tenants.name').onDelete('cascade'),
    )
    .addColumn('account', types.text, column => column.notNull())
    .addColumn('role', types.text, column => column.notNull())
    .addColumn('since', types.integer, column => column.notNull())
    .addPrimaryKeyConstraint('tenant_members_key', ['tenant', 'account'])
    .execute()
  await schema
    .createIndex('tenant_members_by_account')
    .on('tenant_members')
    .columns(['account', 'tenant'])
    .execute()

  await schema
    .createTable('grants')
    .addColumn('serial', types.counter, column => column.primaryKey())
    .addColumn('id', types.text, column => column.notNull().unique())
    .addColumn('tenant', types.text, column =>
      column.notNull().references('tenants.name').onDelete('cascade'),
    )
    .addColumn('subject', types.text, column => column.notNull())
    .addColumn('pattern', types.text, column => column.notNull())
    .addColumn('actions', types.text, column => column.notNull())
    .addColumn('created_at', types.integer, column => column.notNull())
    .execute()
  await schema.createIndex('grants_by_tenant').on('grants').columns(['tenant', 'subject']).execute()
  await schema.createIndex('grants_by_subject').on('grants').columns(['subject', 'tenant']).execute()

  await schema
    .createTable('repository_visibility')
    .addColumn('repository', types.text, column => column.primaryKey())
    .addColumn('tenant', types.text, column =>
      column.notNull().references('tenants.name').onDelete('cascade'),
    )
    .addColumn('visibility', types.text, column => column.notNull())
    .execute()
  await schema
    .createIndex('repository_visibility_by_tenant')
    .on('repository_visibility')
    .column('tenant')
    .execute()
}

async function identities({ schema }: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await schema
    .createTable('accounts')
    .addColumn('name', types.text, column => column.primaryKey())
    .addColumn('kind', types.text, column => column.notNull())
    .addColumn('tenant', types.text, column => column.references('tenants.name'))
    .addColumn('is_admin', types.integer, column => column.notNull())
    .addColumn('is_disabled', types.integer, column => column.notNull())
    .addColumn('description', types.text, column => column.notNull())
    .addColumn('password_hash', types.text)
    .addColumn('created_at', types.integer, column => column.notNull())
    .addColumn('expires_at', types.integer)
    .addColumn('last_used_at', types.integer)
    .execute()
  await schema.createIndex('accounts_by_tenant').on('accounts').columns(['tenant', 'name']).execute()

  await schema
    .createTable('credentials')
    .addColumn('id', types.text, column => column.primaryKey())
    .addColumn('kind', types.text, column => column.notNull())
    // No reference: htpasswd users and those of OpenID providers have no row.
    .addColumn('account', types.text, column => column.notNull())
    .addColumn('secret_digest', types.text, column => column.notNull())
    .addColumn('description', types.text, column => column.notNull())
    .addColumn('scopes', types.text)
    .addColumn('memberships', types.text, column => column.notNull())
    .addColumn('stamp', types.text)
    .addColumn('parent', types.text)
    .addColumn('created_at', types.integer, column => column.notNull())
    .addColumn('expires_at', types.integer)
    .addColumn('last_used_at', types.integer)
    .addColumn('revoked_at', types.integer)
    .execute()
  await schema
    .createIndex('credentials_by_account')
    .on('credentials')
    .columns(['account', 'kind', 'created_at', 'id'])
    .execute()
  for (const column of ['parent', 'expires_at', 'revoked_at'] as const)
    await schema
      .createIndex(`credentials_by_${column}`)
      .on('credentials')
      .column(column)
      .where(column, 'is not', null)
      .execute()
}

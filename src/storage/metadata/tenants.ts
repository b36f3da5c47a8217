import { sql, type Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { TenantName } from '../accounts/names.ts'
import { forgetAccounts } from './accounts.ts'
import type { Database } from './database.ts'
import { unknownTenant } from './keep-tenant.ts'
import type { Page } from './page.ts'
import type { TenantRow } from './rows/accounts.ts'
import type { Schema } from './schema.ts'
import { assertStorable, storablePrefix } from './storable-text.ts'
import { inTenant } from './tenant-range.ts'
import type { NewTenant, Tenant, TenantChange, TenantList } from './tenant-records.ts'

export class KyselyTenants implements TenantList {
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
  }

  async createTenant(tenant: NewTenant, options?: Abortable): Promise<Tenant> {
    const { name } = tenant
    const row: TenantRow = {
      name,
      description: '',
      visibility: 'private',
      quota_bytes: null,
      quota_repositories: null,
      trust_policy: null,
      ...toColumns(name, tenant),
      created_at: this.#now(),
    }
    const { numInsertedOrUpdatedRows } = await this.#database.write(options, db =>
      db
        .insertInto('tenants')
        .values(row)
        .onConflict(conflict => conflict.column('name').doNothing())
        .executeTakeFirstOrThrow(),
    )
    if (numInsertedOrUpdatedRows !== 1n)
      throw new DomainError('already_exists', `There is a tenant ${name} already.`, {
        resource: 'tenant',
        name,
      })
    return toTenant(row)
  }

  async getTenant(name: TenantName, options?: Abortable): Promise<Tenant> {
    const row = await this.#database.read(options, db =>
      db.selectFrom('tenants').selectAll().where('name', '=', name).executeTakeFirst(),
    )
    if (row === undefined) throw unknownTenant(name)
    return toTenant(row)
  }

  async listTenants({ limit, after = '' }: Page, options?: Abortable): Promise<Tenant[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('tenants')
        .selectAll()
        .where(sql<boolean>`name > ${storablePrefix(after)}`)
        .orderBy('name')
        .limit(limit)
        .execute(),
    )
    return rows.map(toTenant)
  }

  async updateTenant(name: TenantName, change: TenantChange, options?: Abortable): Promise<Tenant> {
    const columns = toColumns(name, change)
    if (Object.keys(columns).length === 0) return this.getTenant(name, options)
    const row = await this.#database.write(options, db =>
      db.updateTable('tenants').set(columns).where('name', '=', name).returningAll().executeTakeFirst(),
    )
    if (row === undefined) throw unknownTenant(name)
    return toTenant(row)
  }

  async deleteTenant(name: TenantName, options?: Abortable): Promise<void> {
    await this.#database.write(options, async db => {
      // Who is adding something to it is waited for, and finds nothing afterwards.
      const tenant = await db
        .selectFrom('tenants')
        .select('name')
        .where('name', '=', name)
        .forUpdate()
        .executeTakeFirst()
      if (tenant === undefined) throw unknownTenant(name)
      await assertNoRepositories(db, name)
      const robots = await db
        .selectFrom('accounts')
        .select('name')
        .where('tenant', '=', name)
        .orderBy('name')
        .forUpdate()
        .execute()
      await forgetAccounts(
        db,
        robots.map(robot => robot.name),
      )
      // What else names it goes with it: `on delete cascade`.
      await db.deleteFrom('tenants').where('name', '=', name).execute()
    })
  }
}

/** @throws DomainError `conflict`. */
async function assertNoRepositories(db: Transaction<Schema>, name: TenantName): Promise<void> {
  const details = { resource: 'tenant', name } as const
  const first = await firstRepository(db, name, 'is')
  if (first !== undefined)
    throw new DomainError(
      'conflict',
      `The tenant ${name} has repositories, ${first} for one; delete them first.`,
      details,
    )
  const deleted = await firstRepository(db, name, 'is not')
  if (deleted === undefined) return
  const { until } = await db
    .selectFrom('deleted_manifests')
    .select(row => row.fn.max('goes_at').as('until'))
    .where(inTenant('repository', name))
    .executeTakeFirstOrThrow()
  const when =
    until === null ? 'until its last blobs are collected' : `until ${new Date(until).toISOString()}`
  throw new DomainError(
    'conflict',
    `Repositories of the tenant ${name} were deleted and are still kept, ${deleted} for one, ${when}; wait, or let them go with it (\`varve tenant rm --purge\`).`,
    details,
  )
}

async function firstRepository(
  db: Transaction<Schema>,
  tenant: TenantName,
  deleted: 'is' | 'is not',
): Promise<string | undefined> {
  const row = await db
    .selectFrom('repositories')
    .select('name')
    .where(inTenant('name', tenant))
    .where('deleted_at', deleted, null)
    .orderBy('name')
    .limit(1)
    .executeTakeFirst()
  return row?.name
}

type ChangeableColumns = Partial<Omit<TenantRow, 'name' | 'created_at'>>

function toColumns(name: TenantName, change: TenantChange): ChangeableColumns {
  const { description, visibility, quotaBytes, quotaRepositories, trustPolicy } = change
  assertStorable({ resource: 'tenant', name }, description, trustPolicy)
  return {
    ...(description !== undefined && { description }),
    ...(visibility !== undefined && { visibility }),
    ...(quotaBytes !== undefined && { quota_bytes: quotaBytes }),
    ...(quotaRepositories !== undefined && { quota_repositories: quotaRepositories }),
    ...(trustPolicy !== undefined && { trust_policy: trustPolicy }),
  }
}

function toTenant(row: TenantRow): Tenant {
  return {
    name: row.name,
    description: row.description,
    visibility: row.visibility,
    quotaBytes: row.quota_bytes,
    quotaRepositories: row.quota_repositories,
    trustPolicy: row.trust_policy,
    createdAt: new Date(row.created_at),
  }
}

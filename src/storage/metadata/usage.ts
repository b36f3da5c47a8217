import { type Kysely, sql, type Transaction } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { TenantName } from '../accounts/names.ts'
import type { Digest } from '../digest.ts'
import type { Database } from './database.ts'
import type { Schema } from './schema.ts'
import { inTenant } from './tenant-range.ts'
import type { Usage, UsageRecords } from './usage-records.ts'
import { linksOf } from './usage-writer.ts'

export class KyselyUsage implements UsageRecords {
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
  }

  getUsage(tenant: TenantName, options?: Abortable): Promise<Usage> {
    return this.#database.read(options, db => readUsage(db, tenant, this.#now()))
  }

  foldUsage(limit: number, options?: Abortable): Promise<number> {
    return this.#database.write(options, async db => {
      const changes = await db
        .deleteFrom('usage_changes')
        .where('serial', 'in', oldest =>
          oldest.selectFrom('usage_changes').select('serial').orderBy('serial').limit(limit),
        )
        .returning(['tenant', 'bytes', 'repositories'])
        .execute()
      for (const [tenant, sum] of sumsOf(changes)) await add(db, tenant, sum)
      return changes.length
    })
  }

  recountUsage(tenant: TenantName, options?: Abortable): Promise<Usage> {
    return this.#database.write(options, async db => {
      // Waits for a fold, and keeps the next one waiting: what it moves must be neither counted twice nor lost.
      await add(db, tenant, { bytes: 0, repositories: 0 })
      const stored = await countStored(db, tenant)
      await db.updateTable('tenant_usage').set(stored).where('tenant', '=', tenant).execute()
      return readUsage(db, tenant, this.#now())
    })
  }

  async tenantHasBlob(tenant: TenantName, digest: Digest, options?: Abortable): Promise<boolean> {
    const row = await this.#database.read(options, db => linksOf(db, tenant, digest).executeTakeFirst())
    return row !== undefined
  }

  async damagedBytesOf(tenant: TenantName, options?: Abortable): Promise<number> {
    const row = await this.#database.read(options, db =>
      db
        .selectFrom('blob_faults')
        .innerJoin('blobs', 'blobs.digest', 'blob_faults.digest')
        .select(sql<number>`coalesce(cast(sum(blobs.size) as bigint), 0)`.as('bytes'))
        .where('blobs.digest', 'in', links =>
          links.selectFrom('blob_links').select('digest').where(inTenant('repository', tenant)),
        )
        .executeTakeFirst(),
    )
    return row?.bytes ?? 0
  }
}

/** One statement, because what is folded between two would be in both or in neither. */
export async function readUsage(db: Kysely<Schema>, tenant: TenantName, now: number): Promise<Usage> {
  const { rows } = await sql<Usage>`
    select
      coalesce((select bytes from tenant_usage where tenant = ${tenant}), 0) + ${pending('bytes', tenant)} as bytes,
      coalesce((select repositories from tenant_usage where tenant = ${tenant}), 0)
        + ${pending('repositories', tenant)} as repositories,
      (select coalesce(cast(sum(upload_offset) as bigint), 0) from uploads
        where committed is null and expires_at > ${now} and ${inTenant('repository', tenant)}) as "uploadingBytes"
  `.execute(db)
  const [{ bytes, uploadingBytes, repositories } = { bytes: 0, uploadingBytes: 0, repositories: 0 }] = rows
  return { bytes, uploadingBytes, repositories }
}

type Sums = Pick<Usage, 'bytes' | 'repositories'>

/**
 * What the tenant has, less what has not been folded yet: both as one statement sees them, so that each push that is
 * under way is in both or in neither.
 */
async function countStored(db: Transaction<Schema>, tenant: TenantName): Promise<Sums> {
  const { rows } = await sql<Sums>`
    select
      (select coalesce(cast(sum(size) as bigint), 0) from blobs
        where digest in (select digest from blob_links where ${inTenant('repository', tenant)}))
        + (select coalesce(cast(sum(size) as bigint), 0) from manifests where ${inTenant('repository', tenant)})
        + (select coalesce(cast(sum(size) as bigint), 0) from deleted_manifests
          where ${inTenant('repository', tenant)})
        - ${pending('bytes', tenant)} as bytes,
      (select count(*) from repositories where deleted_at is null and ${inTenant('name', tenant)})
        - ${pending('repositories', tenant)} as repositories
  `.execute(db)
  const [{ bytes, repositories } = { bytes: 0, repositories: 0 }] = rows
  return { bytes, repositories }
}

function pending(column: keyof Sums, tenant: TenantName) {
  return sql<number>`(select coalesce(cast(sum(${sql.ref(column)}) as bigint), 0) from usage_changes where tenant = ${tenant})`
}

/** In one order, so that two folds never wait for each other. */
function sumsOf(changes: readonly (Sums & { readonly tenant: TenantName })[]): [TenantName, Sums][] {
  const sums = new Map<TenantName, Sums>()
  for (const { tenant, bytes, repositories } of changes) {
    const { bytes: b, repositories: r } = sums.get(tenant) ?? { bytes: 0, repositories: 0 }
    sums.set(tenant, { bytes: b + bytes, repositories: r + repositories })
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1))
}

async function add(
  db: Transaction<Schema>,
  tenant: TenantName,
  { bytes, repositories }: Sums,
): Promise<void> {
  await db
    .insertInto('tenant_usage')
    .values({ tenant, bytes, repositories })
    .onConflict(conflict =>
      conflict.column('tenant').doUpdateSet(row => ({
        bytes: sql<number>`${row.ref('tenant_usage.bytes')} + ${bytes}`,
        repositories: sql<number>`${row.ref('tenant_usage.repositories')} + ${repositories}`,
      })),
    )
    .execute()
}

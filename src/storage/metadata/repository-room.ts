import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import { type TenantName, tenantOf } from '../accounts/names.ts'
import type { RepositoryName } from '../reference.ts'
import type { Schema } from './schema.ts'
import { inTenant } from './tenant-range.ts'
import { readUsage } from './usage.ts'

/**
 * For a transaction that makes a deleted repository be there again: it counts as one from then on, as one that is made by a
 * push. What it has was counted all the time.
 * @throws DomainError `denied`, resource `quota`, when its tenant may have no more.
 */
export async function assertRoomForOneMore(
  db: Transaction<Schema>,
  name: RepositoryName,
  now: number,
): Promise<void> {
  const tenant = tenantOf(name)
  const limits = await db
    .selectFrom('tenants')
    .select('quota_repositories as most')
    .where('name', '=', tenant)
    .executeTakeFirst()
  const most = limits?.most ?? null
  if (most === null) return
  const { repositories } = await readUsage(db, tenant, now)
  if (repositories + (await comingBack(db, tenant)) < most) return
  throw new DomainError(
    'denied',
    `The tenant ${tenant} has as many repositories as its quota allows, which is ${most}, so ${name} cannot come back; delete another one, or ask for a larger quota.`,
    { resource: 'quota', name: tenant, rule: `quota of the tenant ${tenant}` },
  )
}

/** They count when all of them is back. */
async function comingBack(db: Transaction<Schema>, tenant: TenantName): Promise<number> {
  const { count } = await db
    .selectFrom('repositories')
    .select(rows => rows.fn.countAll<number>().as('count'))
    .where('moving', '=', 'restore')
    .where(inTenant('name', tenant))
    .executeTakeFirstOrThrow()
  return count
}

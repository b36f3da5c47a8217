import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import { tenantOf } from '../accounts/names.ts'
import type { RepositoryName } from '../reference.ts'
import type { Schema } from './schema.ts'
import { readUsage } from './usage.ts'

/**
 * For a transaction that has brought a repository into another tenant, and counted it there.
 * @throws DomainError `denied`, resource `quota`, when that is more than the tenant may have.
 */
export async function assertRoom(db: Transaction<Schema>, to: RepositoryName, now: number): Promise<void> {
  const tenant = tenantOf(to)
  const limits = await db
    .selectFrom('tenants')
    .select(['quota_bytes', 'quota_repositories'])
    .where('name', '=', tenant)
    .executeTakeFirst()
  if (limits === undefined) return
  const { bytes, uploadingBytes, repositories } = await readUsage(db, tenant, now)
  const { quota_bytes: maxBytes, quota_repositories: maxRepositories } = limits
  const why =
    maxRepositories !== null && repositories > maxRepositories
      ? `it may have ${maxRepositories} repositories, and has as many`
      : maxBytes !== null && bytes + uploadingBytes > maxBytes
        ? `it would use ${bytes + uploadingBytes} bytes, and may use ${maxBytes}`
        : undefined
  if (why === undefined) return
  throw new DomainError(
    'denied',
    `The quota of the tenant ${tenant} has no room for ${to}: ${why}. Delete images there, or ask for a larger quota.`,
    { resource: 'quota', name: tenant, rule: `quota of the tenant ${tenant}` },
  )
}

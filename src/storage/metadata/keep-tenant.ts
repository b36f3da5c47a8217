import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { TenantName } from '../accounts/names.ts'
import type { Schema } from './schema.ts'

export function unknownTenant(name: TenantName): DomainError {
  return new DomainError('not_found', `There is no tenant ${name}; an admin can make it.`, {
    resource: 'tenant',
    name,
  })
}

/**
 * For transactions that add something to a tenant: it stays until they end. They go on side by side.
 * @throws DomainError `not_found`.
 */
export async function keepTenant(db: Transaction<Schema>, name: TenantName): Promise<void> {
  const row = await db
    .selectFrom('tenants')
    .select('name')
    .where('name', '=', name)
    .forKeyShare()
    .executeTakeFirst()
  if (row === undefined) throw unknownTenant(name)
}

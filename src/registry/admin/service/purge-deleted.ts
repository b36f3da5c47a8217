import type { TenantName } from '../../../storage/accounts/names.ts'
import type { RepositoryChangeRecords } from '../../../storage/metadata/repository-records.ts'
import type { ChangeOptions } from '../../../storage/requester.ts'

/** Lets all repositories of a tenant go that were deleted and are still kept. */
export async function purgeDeleted(
  records: Pick<RepositoryChangeRecords, 'listRepositoryStates' | 'purgeRepository'>,
  tenant: TenantName,
  options: ChangeOptions,
): Promise<void> {
  for (;;) {
    const filter = { tenant, isDeleted: true }
    const states = await records.listRepositoryStates(filter, { limit: 100 }, options)
    if (states.length === 0) return
    for (const { name } of states) await records.purgeRepository(name, options)
  }
}

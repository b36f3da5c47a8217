import { sql, type Transaction } from 'kysely'
import type { Schema } from './schema.ts'
import type { ScrubTotals } from './scrub-records.ts'

/** For a transaction that has locked whatever else it needs: all that do write to the one row. */
export async function addScrubTotals(
  db: Transaction<Schema>,
  { corrupt = 0, missing = 0, strays = 0, healed = 0 }: Partial<Omit<ScrubTotals, 'blobs' | 'bytes'>>,
): Promise<void> {
  await db
    .updateTable('scrub_state')
    .set({
      corrupt: sql<number>`corrupt + ${corrupt}`,
      missing: sql<number>`missing + ${missing}`,
      strays: sql<number>`strays + ${strays}`,
      healed: sql<number>`healed + ${healed}`,
    })
    .execute()
}

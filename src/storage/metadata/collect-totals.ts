import { sql, type Transaction } from 'kysely'
import type { CollectTotals } from './collect-records.ts'
import type { Schema } from './schema.ts'

/** For a transaction that collects, as its last statement: all that do write to the one row. */
export async function addTotals(db: Transaction<Schema>, totals: Partial<CollectTotals>): Promise<void> {
  const { links = 0, blobs = 0, manifests = 0, repositories = 0, objects = 0, bytes = 0 } = totals
  if (links + blobs + manifests + repositories + objects + bytes === 0) return
  await db
    .updateTable('collect_state')
    .set({
      links: sql<number>`links + ${links}`,
      blobs: sql<number>`blobs + ${blobs}`,
      manifests: sql<number>`manifests + ${manifests}`,
      repositories: sql<number>`repositories + ${repositories}`,
      objects: sql<number>`objects + ${objects}`,
      bytes: sql<number>`bytes + ${bytes}`,
    })
    .execute()
}

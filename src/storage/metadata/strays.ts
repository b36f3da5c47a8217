import { type Kysely, sql, type Transaction } from 'kysely'
import { algorithmOf } from '../digest.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { ObjectInfo } from '../objects/object-store.ts'
import { batches } from './batches.ts'
import type { StoredBlob } from './blob-records.ts'
import { addBlobGarbage } from './garbage.ts'
import type { StrayObjectRow } from './rows/life-cycle.ts'
import type { Schema } from './schema.ts'
import type { StrayObject } from './scrub-records.ts'

/** As {@link StrayRecords.unknownObjects}. */
export async function unknownAmong(db: Kysely<Schema>, keys: readonly ObjectKey[]): Promise<Set<ObjectKey>> {
  const unknown = new Set(keys)
  for (const batch of batches([...unknown])) {
    for (const table of ['blobs', 'garbage', 'blob_faults'] as const) {
      const rows = await db.selectFrom(table).select('object_key').where('object_key', 'in', batch).execute()
      for (const row of rows) unknown.delete(row.object_key)
    }
    const uploads = await db
      .selectFrom('uploads')
      .select(['object_key', 'tail_key', 'next_tail_key'])
      .where(upload =>
        upload.or([
          upload('object_key', 'in', batch),
          upload('tail_key', 'in', batch),
          upload('next_tail_key', 'in', batch),
        ]),
      )
      .execute()
    for (const { object_key, tail_key, next_tail_key } of uploads)
      for (const key of [object_key, tail_key, next_tail_key]) if (key !== null) unknown.delete(key)
  }
  return unknown
}

export async function addStrays(
  db: Transaction<Schema>,
  objects: readonly ObjectInfo[],
  now: number,
): Promise<number> {
  let added = 0
  for (const batch of batches(objects)) {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('stray_objects')
      .values(batch.map(({ key, size }) => ({ object_key: key, size, digest: null, found_at: now })))
      .onConflict(conflict => conflict.column('object_key').doNothing())
      .executeTakeFirstOrThrow()
    added += Number(numInsertedOrUpdatedRows ?? 0n)
  }
  return added
}

/** As {@link StrayRecords.straysFor}: a digest of another algorithm says nothing. */
export async function straysLike(
  db: Kysely<Schema>,
  { digest, size }: Pick<StoredBlob, 'digest' | 'size'>,
  limit: number,
): Promise<ObjectInfo[]> {
  const rows = await db
    .selectFrom('stray_objects')
    .select('object_key')
    .where('size', '=', size)
    .where(stray =>
      stray.or([
        stray('digest', '=', digest),
        stray('digest', 'is', null),
        stray(stray.cast<string>('digest', 'text'), 'not like', `${algorithmOf(digest)}:%`),
      ]),
    )
    // Those that are known to be right come first.
    .orderBy(sql`case when digest = ${digest} then 0 else 1 end`)
    .orderBy('object_key')
    .limit(limit)
    .execute()
  return rows.map(row => ({ key: row.object_key, size }))
}

/** As {@link StrayRecords.discardStrays}. Who heals a blob with one of them waits, and does not find it any more. */
export async function discard(
  db: Transaction<Schema>,
  before: number,
  limit: number,
  now: number,
): Promise<number> {
  const due = await db
    .selectFrom('stray_objects')
    .selectAll()
    .where('found_at', '<', before)
    .where('digest', 'is not', null)
    .orderBy('found_at')
    .orderBy('object_key')
    .limit(limit)
    .forUpdate()
    .execute()
  if (due.length === 0) return 0
  const keys = due.map(row => row.object_key)
  const unknown = await unknownAmong(db, keys)
  await deleteStrays(db, keys)
  const discarded = due.flatMap(({ digest, size, object_key }) =>
    digest === null || !unknown.has(object_key) ? [] : [{ digest, size, object_key }],
  )
  await addBlobGarbage(db, discarded, now)
  return discarded.length
}

export async function deleteStrays(db: Transaction<Schema>, keys: readonly ObjectKey[]): Promise<void> {
  for (const batch of batches(keys))
    await db.deleteFrom('stray_objects').where('object_key', 'in', batch).execute()
}

export function strayOf({ object_key: key, size, digest, found_at: foundAt }: StrayObjectRow): StrayObject {
  return { key, size, digest, foundAt: new Date(foundAt) }
}

import type { Kysely, Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { ObjectInfo } from '../objects/object-store.ts'
import type { RepositoryName } from '../reference.ts'
import { addBlobGarbage } from './garbage.ts'
import type { Schema } from './schema.ts'
import type { BlobFault, NewBlobFault } from './scrub-records.ts'
import { addScrubTotals } from './scrub-totals.ts'
import { addToLinkingTenants } from './usage-writer.ts'

/** Repositories that are told of with a fault. */
const repositoriesShown = 20

/** As {@link BlobFaultRecords.quarantineBlob}. Another object than the one that was read is another matter. */
export async function quarantine(
  db: Transaction<Schema>,
  { digest, objectKey, kind, detail }: NewBlobFault,
  now: number,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('blobs')
    .set({ state: 'quarantined' })
    .where('digest', '=', digest)
    .where('object_key', '=', objectKey)
    .where('state', '=', 'stored')
    .executeTakeFirstOrThrow()
  if (numUpdatedRows === 0n) return false
  const columns = { object_key: objectKey, kind, detail, found_at: now }
  await db
    .insertInto('blob_faults')
    .values({ digest, ...columns })
    .onConflict(conflict => conflict.column('digest').doUpdateSet(columns))
    .execute()
  await addScrubTotals(db, { [kind]: 1 })
  return true
}

export interface HealTimes {
  readonly now: number
  readonly keepDamagedMs: number
}

/**
 * Gives a quarantined blob the object, whose bytes are known to be its own. False when it is not quarantined (any more).
 * The damaged object is kept for a while: somebody may want to know what has happened to it.
 */
export async function heal(
  db: Transaction<Schema>,
  digest: Digest,
  { key, size }: ObjectInfo,
  { now, keepDamagedMs }: HealTimes,
): Promise<boolean> {
  const damaged = await db
    .selectFrom('blobs')
    .select(['digest', 'size', 'object_key'])
    .where('digest', '=', digest)
    .where('state', '=', 'quarantined')
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (damaged === undefined) return false
  await db
    .updateTable('blobs')
    .set({ object_key: key, size, state: 'stored' })
    .where('digest', '=', digest)
    .execute()
  await db.deleteFrom('blob_faults').where('digest', '=', digest).execute()
  // One that was adopted on trust may never have been whole.
  if (damaged.size !== size) await addToLinkingTenants(db, digest, size - damaged.size)
  if (damaged.object_key !== key) await addBlobGarbage(db, [damaged], now + keepDamagedMs)
  await addScrubTotals(db, { healed: 1 })
  return true
}

/** As {@link heal}, with the object that the blob has, or with a stray, which nobody else may take or discard then. */
export async function healWithFound(
  db: Transaction<Schema>,
  digest: Digest,
  object: ObjectInfo,
  times: HealTimes,
): Promise<boolean> {
  const blob = await db
    .selectFrom('blobs')
    .select(['size', 'object_key'])
    .where('digest', '=', digest)
    .where('state', '=', 'quarantined')
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (blob === undefined || blob.size !== object.size) return false
  if (blob.object_key !== object.key) {
    const stray = await db
      .deleteFrom('stray_objects')
      .where('object_key', '=', object.key)
      .returning('object_key')
      .executeTakeFirst()
    if (stray === undefined) return false
  }
  return heal(db, digest, object, times)
}

/** @param where which of them, and how many. */
export async function selectFaults(
  db: Kysely<Schema>,
  where: { readonly digest: Digest } | { readonly after: Digest | undefined; readonly limit: number },
): Promise<BlobFault[]> {
  const rows = await db
    .selectFrom('blob_faults')
    .innerJoin('blobs', 'blobs.digest', 'blob_faults.digest')
    .select([
      'blob_faults.digest',
      'blob_faults.object_key',
      'blob_faults.kind',
      'blob_faults.detail',
      'blob_faults.found_at',
      'blobs.size',
    ])
    .$if('digest' in where, faults =>
      'digest' in where ? faults.where('blob_faults.digest', '=', where.digest) : faults,
    )
    .$if('limit' in where, faults =>
      'limit' in where
        ? faults
            .where('blob_faults.digest', '>', (where.after ?? '') as Digest)
            .orderBy('blob_faults.digest')
            .limit(where.limit)
        : faults,
    )
    .execute()
  const faults: BlobFault[] = []
  for (const { digest, object_key: objectKey, kind, detail, found_at: foundAt, size } of rows)
    faults.push({
      digest,
      objectKey,
      kind,
      detail,
      size,
      foundAt: new Date(foundAt),
      repositories: await repositoriesOf(db, digest),
    })
  return faults
}

async function repositoriesOf(db: Kysely<Schema>, digest: Digest): Promise<RepositoryName[]> {
  const rows = await db
    .selectFrom('blob_links')
    .select('repository')
    .where('digest', '=', digest)
    .orderBy('repository')
    .limit(repositoriesShown)
    .execute()
  return rows.map(({ repository }) => repository)
}

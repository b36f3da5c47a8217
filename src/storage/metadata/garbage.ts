import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { ObjectKey } from '../objects/keys.ts'
import { batches } from './batches.ts'
import { addTotals } from './collect-totals.ts'
import type { Database } from './database.ts'
import type { GarbageRecords, GarbageSearch } from './garbage-records.ts'
import type { BlobRow } from './rows/content.ts'
import type { Schema } from './schema.ts'

/** Clocks of replicas that may delete the object are no further apart. */
const clockDifferenceMs = 60_000

export class KyselyGarbage implements GarbageRecords {
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
  }

  async listGarbage(limit: number, options?: GarbageSearch): Promise<ObjectKey[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('garbage')
        .select('object_key')
        .where('since', '<=', this.#now())
        .$if(options?.ofUploads === true, rows => rows.where('digest', 'is', null))
        .orderBy('since')
        .orderBy('object_key')
        .limit(limit)
        .execute(),
    )
    return rows.map(row => row.object_key)
  }

  async forgetGarbage(keys: readonly ObjectKey[], options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    if (keys.length === 0) return
    await this.#database.write(options, async db => {
      let objects = 0
      let bytes = 0
      for (const batch of batches(keys)) {
        const gone = await db
          .deleteFrom('garbage')
          .where('object_key', 'in', batch)
          .returning(['digest', 'size'])
          .execute()
        for (const { digest, size } of gone) {
          if (digest === null) continue
          objects += 1
          bytes += size ?? 0
        }
      }
      await addTotals(db, { objects, bytes })
    })
  }

  async postponeGarbage(keys: readonly ObjectKey[], options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    if (keys.length === 0) return
    await this.#database.write(options, async db => {
      for (const batch of batches(keys))
        await db.updateTable('garbage').set({ since: this.#now() }).where('object_key', 'in', batch).execute()
    })
  }
}

/** For transactions that let go of objects which nobody can be reading. */
export async function addGarbage(
  db: Transaction<Schema>,
  keys: Iterable<ObjectKey | null>,
  now: number,
): Promise<void> {
  const rows = [...keys].flatMap(key =>
    key === null ? [] : [{ object_key: key, since: now, digest: null, size: null }],
  )
  if (rows.length === 0) return
  await db
    .insertInto('garbage')
    .values(rows)
    .onConflict(conflict => conflict.column('object_key').doNothing())
    .execute()
}

/**
 * For transactions that take blobs away, which somebody may be reading.
 * @param since from when on their objects may be deleted.
 */
export async function addBlobGarbage(
  db: Transaction<Schema>,
  blobs: readonly Pick<BlobRow, 'digest' | 'size' | 'object_key'>[],
  since: number,
): Promise<void> {
  for (const batch of batches(blobs))
    await db
      .insertInto('garbage')
      .values(batch.map(({ object_key, digest, size }) => ({ object_key, since, digest, size })))
      .onConflict(conflict => conflict.column('object_key').doNothing())
      .execute()
}

/**
 * For a transaction after which the bytes of such an object are read, as {@link takeBackGarbage} has it: nobody deletes
 * it until then.
 * @throws DomainError `busy` when the object may be being deleted at this moment.
 */
export async function holdGarbage(
  db: Transaction<Schema>,
  key: ObjectKey,
  { now, until }: { readonly now: number; readonly until: number },
): Promise<void> {
  const row = await db
    .selectFrom('garbage')
    .select('since')
    .where('object_key', '=', key)
    .forUpdate()
    .executeTakeFirst()
  if (row === undefined) return
  assertNotDue(key, row.since, now)
  if (row.since < until)
    await db.updateTable('garbage').set({ since: until }).where('object_key', '=', key).execute()
}

/**
 * For a transaction that makes a blob of an object which may have been one before, and which has a name that others gave
 * it, so that the same key comes again.
 * @throws DomainError `busy` when the object may be being deleted at this moment.
 */
export async function takeBackGarbage(db: Transaction<Schema>, key: ObjectKey, now: number): Promise<void> {
  const row = await db
    .deleteFrom('garbage')
    .where('object_key', '=', key)
    .returning('since')
    .executeTakeFirst()
  if (row !== undefined) assertNotDue(key, row.since, now)
}

function assertNotDue(key: ObjectKey, since: number, now: number): void {
  if (since > now + clockDifferenceMs) return
  throw new DomainError(
    'busy',
    `The object ${key} was let go of and is about to be deleted; adopt it again when it is gone.`,
    { resource: 'object', name: key },
  )
}

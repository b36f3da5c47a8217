import { type Kysely, sql, type Transaction } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { Database } from './database.ts'
import type { Schema } from './schema.ts'

/** Events that are given their positions at once. */
const batchSize = 1000

/**
 * Gives positions to events that have none, as soon as somebody wants to read them.
 *
 * Neither the numbers that PostgreSQL counts up nor its clock are in the order in which transactions are committed, so
 * who reads up to the highest one misses what is committed later under a lower one. Here positions are given, by one
 * at a time, to what can be seen, and readers look at nothing else: no position below one that was read ever appears.
 *
 * The order: if B began when A was done, whoever sees B's events sees A's, too. So A's have got their positions before,
 * or get theirs now; and then they come first, for their rows were written first and have the lower serials. The same
 * holds when B had to wait for a lock of A's (a repository's), or has read what A did, and writes its events after that.
 */
export async function sequencePending(
  database: Database,
  options: Abortable | undefined,
  limit: number = Number.POSITIVE_INFINITY,
): Promise<void> {
  for (let given = 0; given < limit; ) {
    if (!(await database.read(options, hasPending))) return
    const wanted = Math.min(batchSize, limit - given)
    const count = await database.write(options, db => sequenceBatch(db, wanted))
    if (count < wanted) return
    given += count
  }
}

/** Position of the newest event that has one. Nobody else gives positions until the transaction ends. */
export async function lockSequence(db: Transaction<Schema>): Promise<number> {
  const { newest } = await db
    .selectFrom('event_sequence')
    .select('newest')
    .forUpdate()
    .executeTakeFirstOrThrow()
  return newest
}

async function hasPending(db: Kysely<Schema>): Promise<boolean> {
  const row = await db
    .selectFrom('events')
    .select('serial')
    .where('position', 'is', null)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

async function sequenceBatch(db: Transaction<Schema>, limit: number): Promise<number> {
  const newest = await lockSequence(db)
  const { numUpdatedRows } = await db
    .updateTable('events')
    .from(
      db
        .selectFrom(pending =>
          pending
            .selectFrom('events')
            .select('serial')
            .where('position', 'is', null)
            .orderBy('serial')
            .limit(limit)
            .as('pending'),
        )
        .select(['serial', sql<number>`row_number() over (order by serial)`.as('place')])
        .as('numbered'),
    )
    .set({ position: sql<number>`numbered.place + ${newest}` })
    .whereRef('events.serial', '=', 'numbered.serial')
    .executeTakeFirstOrThrow()
  const count = Number(numUpdatedRows)
  if (count > 0)
    await db
      .updateTable('event_sequence')
      .set({ newest: newest + count })
      .execute()
  return count
}

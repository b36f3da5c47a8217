import type { Transaction } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { ObjectKey } from '../objects/keys.ts'
import { batches } from './batches.ts'
import type { Database } from './database.ts'
import type { GarbageRecords } from './metadata.ts'
import type { Schema } from './schema.ts'

export class KyselyGarbage implements GarbageRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async listGarbage(limit: number, options?: Abortable): Promise<ObjectKey[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('garbage')
        .select('object_key')
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
      for (const batch of batches(keys))
        await db.deleteFrom('garbage').where('object_key', 'in', batch).execute()
    })
  }
}

/** For transactions that let go of objects. */
export async function addGarbage(
  db: Transaction<Schema>,
  keys: Iterable<ObjectKey | null>,
  now: number,
): Promise<void> {
  const rows = [...keys].flatMap(key => (key === null ? [] : [{ object_key: key, since: now }]))
  if (rows.length === 0) return
  await db
    .insertInto('garbage')
    .values(rows)
    .onConflict(conflict => conflict.column('object_key').doNothing())
    .execute()
}

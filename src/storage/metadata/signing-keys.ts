import type { Kysely } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { SigningKey, SigningKeyRecords } from './account-records.ts'
import { batches } from './batches.ts'
import type { Database } from './database.ts'
import type { Schema } from './schema.ts'
import { isStorable } from './storable-text.ts'

export class KyselySigningKeys implements SigningKeyRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  listSigningKeys(options?: Abortable): Promise<SigningKey[]> {
    return this.#database.read(options, listKeys)
  }

  addSigningKey(key: SigningKey, newerThan: Date | null, options?: Abortable): Promise<SigningKey[]> {
    return this.#database.write(options, async db => {
      const before = await listKeys(db)
      const [newest] = before
      if (newest !== undefined && (newerThan === null || newest.createdAt > newerThan)) return before
      const afterNewest = newest === undefined ? 0 : newest.createdAt.getTime() + 1
      await db
        .insertInto('signing_keys')
        .values({
          id: key.id,
          jwk: key.jwk,
          created_at: Math.max(key.createdAt.getTime(), afterNewest),
          predecessor: newest?.id ?? '',
        })
        // Waits for another process that adds the successor of the same key, and leaves it at that one.
        .onConflict(conflict => conflict.doNothing())
        .execute()
      return listKeys(db)
    })
  }

  async deleteSigningKeys(ids: readonly string[], options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    const known = ids.filter(isStorable)
    if (known.length === 0) return
    await this.#database.write(options, async db => {
      for (const batch of batches(known))
        await db.deleteFrom('signing_keys').where('id', 'in', batch).execute()
    })
  }
}

async function listKeys(db: Kysely<Schema>): Promise<SigningKey[]> {
  const rows = await db
    .selectFrom('signing_keys')
    .select(['id', 'jwk', 'created_at'])
    .orderBy('created_at', 'desc')
    .execute()
  return rows.map(({ id, jwk, created_at: createdAt }) => ({ id, jwk, createdAt: new Date(createdAt) }))
}

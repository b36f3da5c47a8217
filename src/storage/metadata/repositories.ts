import { sql, type Transaction } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { RepositoryName } from '../reference.ts'
import type { Database } from './database.ts'
import type { Page, RepositoryRecords } from './metadata.ts'
import type { Schema } from './schema.ts'

export class KyselyRepositories implements RepositoryRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async hasRepository(name: RepositoryName, options?: Abortable): Promise<boolean> {
    const row = await this.#database.read(options, db =>
      db.selectFrom('repositories').select('name').where('name', '=', name).executeTakeFirst(),
    )
    return row !== undefined
  }

  async listRepositories({ limit, after = '' }: Page, options?: Abortable): Promise<RepositoryName[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('repositories')
        .select('name')
        .where(sql<boolean>`name > ${after}`)
        .orderBy('name')
        .limit(limit)
        .execute(),
    )
    return rows.map(row => row.name)
  }
}

/** For transactions that store something under a name: the first one makes the repository exist. */
export async function ensureRepository(
  db: Transaction<Schema>,
  name: RepositoryName,
  now: number,
): Promise<void> {
  await db
    .insertInto('repositories')
    .values({ name, created_at: now })
    .onConflict(conflict => conflict.column('name').doNothing())
    .execute()
}

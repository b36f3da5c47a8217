import { sql, type Transaction } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { AccountName } from '../accounts/names.ts'
import type { RepositoryName } from '../reference.ts'
import type { Database } from './database.ts'
import type { Page, RepositoryRecords, VisiblePage } from './metadata.ts'
import type { Schema } from './schema.ts'
import { storablePrefix } from './storable-text.ts'
import { visibleRepositories } from './visible-repositories.ts'

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
        .where(sql<boolean>`name > ${storablePrefix(after)}`)
        .orderBy('name')
        .limit(limit)
        .execute(),
    )
    return rows.map(row => row.name)
  }

  listRepositoriesOf(
    account: AccountName | null,
    { limit, after = '', tenants }: VisiblePage,
    options?: Abortable,
  ): Promise<RepositoryName[]> {
    const page = { limit, after: storablePrefix(after) }
    return this.#database.read(options, db => visibleRepositories(db, { account, tenants }, page))
  }
}

/**
 * For transactions that change a repository's manifests or tags, or take links away: they go one after another, and
 * each sees what those before have done. Answers whether there is such a repository.
 */
export async function lockRepository(db: Transaction<Schema>, name: RepositoryName): Promise<boolean> {
  const row = await db
    .selectFrom('repositories')
    .select('name')
    .where('name', '=', name)
    // Links and uploads, which refer to the row, go on meanwhile.
    .forNoKeyUpdate()
    .executeTakeFirst()
  return row !== undefined
}

/** As {@link lockRepository}, and makes the repository exist. Answers whether it did not before. */
export async function lockNewRepository(
  db: Transaction<Schema>,
  name: RepositoryName,
  now: number,
): Promise<boolean> {
  if (await lockRepository(db, name)) return false
  const isNew = await ensureRepository(db, name, now)
  // Another one may have made it meanwhile, and be at work on it.
  await lockRepository(db, name)
  return isNew
}

/** For transactions that store something under a name: the first one makes the repository exist, and is told so. */
export async function ensureRepository(
  db: Transaction<Schema>,
  name: RepositoryName,
  now: number,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('repositories')
    .values({ name, created_at: now })
    .onConflict(conflict => conflict.column('name').doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

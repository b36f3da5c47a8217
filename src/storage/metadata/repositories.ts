import { sql } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { AccountName } from '../accounts/names.ts'
import type { RepositoryName } from '../reference.ts'
import type { Database } from './database.ts'
import type { Page } from './page.ts'
import type { RepositoryRecords, VisiblePage } from './repository-records.ts'
import { storablePrefix } from './storable-text.ts'
import { visibleRepositories } from './visible-repositories.ts'

export class KyselyRepositories implements RepositoryRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async hasRepository(name: RepositoryName, options?: Abortable): Promise<boolean> {
    const row = await this.#database.read(options, db =>
      db
        .selectFrom('repositories')
        .select('name')
        .where('name', '=', name)
        .where('deleted_at', 'is', null)
        .executeTakeFirst(),
    )
    return row !== undefined
  }

  async listRepositories({ limit, after = '' }: Page, options?: Abortable): Promise<RepositoryName[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('repositories')
        .select('name')
        .where('deleted_at', 'is', null)
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

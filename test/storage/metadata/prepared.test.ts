import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { Kysely } from 'kysely'
import { PreparedQuery } from '../../../src/storage/metadata/prepared.ts'
import type { Schema } from '../../../src/storage/metadata/schema.ts'
import { NodeSqliteDialect } from '../../../src/storage/metadata/sqlite-dialect.ts'
import type { RepositoryName } from '../../../src/storage/reference.ts'
import { freshRepository } from '../../support/records.ts'

describe('A prepared query', () => {
  it('runs with other values each time, wherever they stand in it', async () => {
    const sqlite = new DatabaseSync(':memory:')
    sqlite.exec('create table repositories (name text, created_at integer)')
    await using db = new Kysely<Schema>({ dialect: new NodeSqliteDialect(sqlite) })
    const [one, two] = [freshRepository(), freshRepository()]
    for (const [index, name] of [one, two].entries())
      await db.insertInto('repositories').values({ name, created_at: index }).execute()
    const query = new PreparedQuery<{ name: RepositoryName; since: number }, { name: RepositoryName }>(
      placeholder => {
        const name = placeholder('name')
        return db
          .selectFrom('repositories')
          .select('name')
          .where('created_at', '>=', placeholder('since'))
          .where('created_at', '<', 7)
          .where(row => row.or([row('name', '=', name), row('name', '=', name)]))
      },
    )
    assert.equal((await query.takeFirst(db, { name: one, since: 0 }))?.name, one)
    assert.equal((await query.takeFirst(db, { name: two, since: 1 }))?.name, two)
    assert.equal(await query.takeFirst(db, { name: one, since: 1 }), undefined)
    await db.transaction().execute(async transaction => {
      await transaction.deleteFrom('repositories').execute()
      assert.equal(await query.takeFirst(transaction, { name: one, since: 0 }), undefined)
    })
  })

  it('cannot be made of one that lost a placeholder', async () => {
    await using db = new Kysely<Schema>({ dialect: new NodeSqliteDialect(new DatabaseSync(':memory:')) })
    const build = () =>
      new PreparedQuery<{ name: RepositoryName }, { name: RepositoryName }>(placeholder => {
        placeholder('name')
        return db.selectFrom('repositories').select('name')
      })
    assert.throws(build, /name did not get into the query select/)
  })
})

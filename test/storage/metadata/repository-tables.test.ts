/** That nothing which names a repository is forgotten when one is renamed, in either database. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import pg from 'pg'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { repositoryColumns } from '../../../src/storage/metadata/repository-tables.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/** What a column is called whose values may be names of repositories. */
const mayName = /repositor|target|_after$/
const withoutPostgres = await skipWithout('postgres')
const known = repositoryColumns.map(([table, column]) => `${table}.${column}`).sort()

interface Column {
  readonly table: string
  readonly column: string
}

function assertKnown(columns: readonly Column[]): void {
  const found = columns
    .filter(({ table, column }) => mayName.test(column) || (table === 'repositories' && column === 'name'))
    .map(({ table, column }) => `${table}.${column}`)
  assert.deepEqual(found.sort(), known)
}

describe('Columns that name repositories', () => {
  it('are each said what becomes of them, in SQLite', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    await (await openSqliteMetadata(path))[Symbol.asyncDispose]()
    const database = new DatabaseSync(path)
    const rows = database
      .prepare(
        `select m.name as "table", c.name as "column" from sqlite_master as m, pragma_table_info(m.name) as c
          where m.type = 'table'`,
      )
      .all()
    database.close()
    assertKnown(rows.map(row => ({ table: String(row['table']), column: String(row['column']) })))
  })

  describe('and in PostgreSQL', { skip: withoutPostgres }, () => {
    let server: PostgresTestServer
    before(async () => {
      server = await startPostgres()
    })
    after(() => server[Symbol.asyncDispose]())

    it('as well', async () => {
      const url = await server.createDatabase()
      await (await openPostgresMetadata(url))[Symbol.asyncDispose]()
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      const { rows } = await client.query<Column>(
        `select table_name as "table", column_name as "column" from information_schema.columns
          where table_schema = 'public'`,
      )
      await client.end()
      assertKnown(rows)
    })
  })
})

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe } from 'node:test'
import pg from 'pg'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { auditContract } from '../../contract/audit.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

auditContract('SQLite', async () => {
  const directory = await temporaryDirectory()
  const path = join(directory.path, 'varve.db')
  const [metadata, replica] = [await openSqliteMetadata(path), await openSqliteMetadata(path)]
  return {
    metadata,
    replica,
    run: async statement => {
      using database = new DatabaseSync(path)
      database.exec(statement)
    },
    refused: ["insert or replace into audit select * from audit where outcome = 'allowed'"],
    close: async () => {
      await metadata[Symbol.asyncDispose]()
      await replica[Symbol.asyncDispose]()
      await directory.remove()
    },
  }
})

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  auditContract('PostgreSQL', async () => {
    const url = await server.createDatabase({ locale: 'en-US' })
    const [metadata, replica] = [await openPostgresMetadata(url), await openPostgresMetadata(url)]
    const run = async (statement: string): Promise<void> => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      try {
        await client.query(statement)
      } finally {
        await client.end()
      }
    }
    return {
      metadata,
      replica,
      run,
      refused: ['truncate audit', 'truncate audit cascade'],
      close: async () => {
        await metadata[Symbol.asyncDispose]()
        await replica[Symbol.asyncDispose]()
      },
    }
  })
})

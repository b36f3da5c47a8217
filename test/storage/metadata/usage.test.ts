import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import type { OpenedMetadata } from '../../contract/metadata.ts'
import { tagRuleContract } from '../../contract/tag-rules.ts'
import { usageContract } from '../../contract/usage.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

async function openSqlite(now: () => number): Promise<OpenedMetadata> {
  const directory = await temporaryDirectory()
  const path = join(directory.path, 'varve.db')
  const [metadata, replica] = [
    await openSqliteMetadata(path, { now }),
    await openSqliteMetadata(path, { now }),
  ]
  return {
    metadata,
    replica,
    async close() {
      await metadata[Symbol.asyncDispose]()
      await replica[Symbol.asyncDispose]()
      await directory.remove()
    },
  }
}

usageContract('SQLite', openSqlite)
tagRuleContract('SQLite', openSqlite)

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  async function openPostgres(now: () => number): Promise<OpenedMetadata> {
    const url = await server.createDatabase()
    const [metadata, replica] = [
      await openPostgresMetadata(url, { now, poolSize: 16 }),
      await openPostgresMetadata(url, { now, poolSize: 16 }),
    ]
    return {
      metadata,
      replica,
      async close() {
        await metadata[Symbol.asyncDispose]()
        await replica[Symbol.asyncDispose]()
      },
    }
  }

  usageContract('PostgreSQL', openPostgres)
  tagRuleContract('PostgreSQL', openPostgres)
})

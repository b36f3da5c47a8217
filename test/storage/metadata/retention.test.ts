import { after, before, describe } from 'node:test'
import { retentionContract } from '../../contract/metadata-retention.ts'
import { openPostgresTwice, openSqliteTwice } from '../../support/open-metadata.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'

retentionContract('SQLite', openSqliteTwice)

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  retentionContract('PostgreSQL', now => openPostgresTwice(server, now))
})

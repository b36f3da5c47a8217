import { after, before, describe } from 'node:test'
import { historyContract } from '../../contract/metadata-history.ts'
import { openPostgresTwice, openSqliteTwice } from '../../support/open-metadata.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'

historyContract('SQLite', openSqliteTwice)

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  historyContract('PostgreSQL', now => openPostgresTwice(server, now))
})

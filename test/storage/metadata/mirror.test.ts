import { after, before, describe } from 'node:test'
import { mirrorContract } from '../../contract/mirror.ts'
import { transferContract } from '../../contract/transfers.ts'
import { upstreamContract } from '../../contract/upstream.ts'
import { openPostgresTwice, openSqliteTwice } from '../../support/open-metadata.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'

mirrorContract('SQLite', openSqliteTwice)
transferContract('SQLite', openSqliteTwice)
upstreamContract('SQLite', openSqliteTwice)

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  const open = (now: () => number) => openPostgresTwice(server, now)
  mirrorContract('PostgreSQL', open)
  transferContract('PostgreSQL', open)
  upstreamContract('PostgreSQL', open)
})

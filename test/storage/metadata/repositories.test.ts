import { after, before, describe } from 'node:test'
import { renameContract } from '../../contract/metadata-rename.ts'
import { repositoryContract } from '../../contract/metadata-repositories.ts'
import { openPostgresTwice, openSqliteTwice } from '../../support/open-metadata.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'

repositoryContract('SQLite', openSqliteTwice)
renameContract('SQLite', openSqliteTwice)

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())
  repositoryContract('PostgreSQL', now => openPostgresTwice(server, now))
  renameContract('PostgreSQL', now => openPostgresTwice(server, now))
})

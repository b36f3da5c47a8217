import { after, before, describe } from 'node:test'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { metadataContract } from '../../contract/metadata.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  for (const locale of ['C.UTF-8', 'en-US'] as const)
    metadataContract(`PostgreSQL in the locale ${locale}`, async now => {
      const url = await server.createDatabase({ locale })
      const metadata = await openPostgresMetadata(url, { now })
      const replica = await openPostgresMetadata(url, { now })
      return {
        metadata,
        replica,
        async close() {
          await metadata[Symbol.asyncDispose]()
          await replica[Symbol.asyncDispose]()
        },
      }
    })
})

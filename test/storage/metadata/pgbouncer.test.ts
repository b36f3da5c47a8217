/** PostgreSQL behind pgbouncer, which gives a connection of its own to each session, transaction or statement. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { isDomainError } from '../../../src/errors.ts'
import { openPostgresSnapshot } from '../../../src/storage/metadata/backup/postgres-snapshot.ts'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { parseReference } from '../../../src/storage/reference.ts'
import { metadataContract } from '../../contract/metadata.ts'
import { type PgBouncer, type PgBouncerOptions, startPgBouncer } from '../../support/pgbouncer.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { freshRepository, looseManifest } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'

/** Comes back from an outage in seconds, where the default takes half a minute. */
const hasty = { server_login_retry: '1', query_wait_timeout: '2' }

describe('PostgreSQL behind pgbouncer', { skip: await skipWithout('postgres', 'pgbouncer') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  // In session mode each of our connections holds one of the server's.
  for (const [mode, pool] of [
    ['transaction', '4'],
    ['session', '30'],
  ] as const) {
    let pooler: PgBouncer
    before(async () => {
      pooler = await startPgBouncer(server.url, { mode, settings: { default_pool_size: pool } })
    })
    after(() => pooler[Symbol.asyncDispose]())

    metadataContract(`PostgreSQL behind a pooler of ${mode}s`, async now => {
      const url = pooler.through(await server.createDatabase())
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
  }

  const behind = async (
    options: PgBouncerOptions,
    test: (url: string, direct: string) => Promise<void>,
  ): Promise<void> => {
    await using pooler = await startPgBouncer(server.url, options)
    const direct = await server.createDatabase()
    await test(pooler.through(direct), direct)
  }

  it('makes the schema once, however many open it, and keeps no lock', () =>
    behind({ mode: 'transaction' }, async (url, direct) => {
      const opened = await Promise.all(Array.from({ length: 8 }, () => openPostgresMetadata(url)))
      await Promise.all(
        opened.map((metadata, index) => metadata.putManifest(freshRepository(), looseManifest(`${index}`))),
      )
      assert.deepEqual(await rowsOf(direct, "select 1 from pg_locks where locktype = 'advisory'"), [])
      // The connections of the pooler are still there: none may be left with what one of ours has set.
      assert.deepEqual(
        await rowsOf(
          url,
          "select current_setting('statement_timeout') || current_setting('lock_timeout') as set",
        ),
        [{ set: '00' }],
      )
      await using late = await openPostgresMetadata(url)
      await late.ping()
      for (const metadata of opened) await metadata[Symbol.asyncDispose]()
    }))

  it('is backed up in one transaction while others write', () =>
    behind({ mode: 'transaction' }, async url => {
      await using metadata = await openPostgresMetadata(url)
      const repository = freshRepository()
      for (const index of Array.from({ length: 5 }).keys())
        await metadata.putManifest(repository, looseManifest(`before ${index}`))
      await using snapshot = await openPostgresSnapshot(url)
      const table = snapshot.shape.tables.find(({ name }) => name === 'manifests')
      assert.ok(table !== undefined)
      let count = 0
      await metadata.putManifest(repository, looseManifest('after', 'latest'))
      for await (const rows of snapshot.rows(table)) count += rows.length
      assert.equal(count, 5)
      assert.ok((await metadata.statManifest(repository, parseReference('latest'))).size > 0)
    }))

  it('that shares connections between statements is refused, with an empty database and with a full one', () =>
    behind({ mode: 'statement' }, async (url, direct) => {
      const refused = async (): Promise<void> => {
        const patience = { forMs: 3_600_000, onWait: () => assert.fail('there is nothing to wait for') }
        const error = await rejectsWith('unavailable', openPostgresMetadata(url, { patience }))
        assert.match(error.message, /between statements; set its pool_mode to transaction or session\.$/)
      }
      await refused()
      await (await openPostgresMetadata(direct))[Symbol.asyncDispose]()
      await refused()
    }))

  it('says what is wrong with the pooler, and never the password', () =>
    behind({ mode: 'transaction', settings: { max_client_conn: '2', ...hasty } }, async url => {
      const changed = (change: (copy: URL) => void): string => {
        const copy = new URL(url)
        change(copy)
        return copy.href
      }
      const cases: readonly (readonly [string, RegExp])[] = [
        [changed(copy => (copy.password = 'wrong-secret')), /user and the password/],
        [changed(copy => (copy.username = 'nobody')), /user and the password/],
        [changed(copy => (copy.pathname = '/absent')), /pooler|no database of that name/],
        [changed(copy => (copy.search = '?options=-c%20geqo=off')), /ignore_startup_parameters/],
      ]
      for (const [wrong, message] of cases) {
        const error = await rejectsWith('unavailable', openPostgresMetadata(wrong))
        assert.match(error.message, message)
        for (const secret of [new URL(url).password, 'wrong-secret'])
          assert.ok(!inspect(error, { depth: 9 }).includes(secret))
      }
      await using metadata = await openPostgresMetadata(url)
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, () => metadata.putManifest(freshRepository(), looseManifest('any'))),
      )
      const failed = outcomes.filter(outcome => outcome.status === 'rejected')
      assert.ok(failed.length > 0 && failed.length < 8)
      for (const { reason } of failed) {
        assert.ok(isDomainError(reason, 'unavailable'), String(reason))
        assert.match(reason.message, /max_client_conn/)
      }
    }))

  for (const mode of ['transaction', 'session'] as const)
    it(`of ${mode}s fails every call while the server is away, and works again when it is back`, () =>
      behind({ mode, settings: { default_pool_size: '20', ...hasty } }, async url => {
        await using metadata = await openPostgresMetadata(url)
        const repository = freshRepository()
        for (const end of ['stopServer', 'kill'] as const) {
          await Promise.all(
            Array.from({ length: 6 }, (_, index) =>
              metadata.putManifest(repository, looseManifest(`${index}`, `tag-${index}`)),
            ),
          )
          await server[end]()
          for (const call of [
            () => metadata.ping(),
            () => metadata.listTags(repository, { limit: 9 }),
            () => metadata.putManifest(repository, looseManifest('lost', 'lost')),
          ])
            await rejectsWith('unavailable', call())
          await server.startServer()
          await untilBack(() => metadata.ping())
          assert.equal((await metadata.listTags(repository, { limit: 99 })).length, 6)
        }
      }))
})

/** The pooler waits for a moment before it tries the server again; until then the failures are of the same kind. */
async function untilBack(call: () => Promise<void>): Promise<void> {
  for (;;)
    try {
      await call()
      return
    } catch (error) {
      assert.ok(isDomainError(error, 'unavailable'), String(error))
      await sleep(100)
    }
}

async function rowsOf(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

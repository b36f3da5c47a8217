import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { inspect } from 'node:util'
import { Kysely, sql } from 'kysely'
import { isDomainError } from '../../../src/errors.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { Database } from '../../../src/storage/metadata/database.ts'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { ReadCommittedDialect } from '../../../src/storage/metadata/postgres-dialect.ts'
import { postgresFailures } from '../../../src/storage/metadata/postgres-errors.ts'
import { PostgresPool } from '../../../src/storage/metadata/postgres-pool.ts'
import type { Schema } from '../../../src/storage/metadata/schema.ts'
import { parseReference } from '../../../src/storage/reference.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { startQueryProxy } from '../../support/query-proxy.ts'
import { commitText, freshRepository, looseManifest, newUpload } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'

const latest = parseReference('latest')

describe('A PostgreSQL database', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres({ settings: { deadlock_timeout: '50ms' } })
  })
  after(() => server[Symbol.asyncDispose]())

  const run = async (url: string, statement: string): Promise<unknown[]> => {
    const pool = new PostgresPool({ url, size: 1, connectTimeoutMs: 10_000 })
    const client = await pool.connect()
    try {
      return (await client.query<unknown>(statement, [])).rows
    } finally {
      client.release()
      await pool.end()
    }
  }
  const others = 'from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()'

  it('that goes away fails every call, and works again when it is back', async () => {
    await using metadata = await openPostgresMetadata(await server.createDatabase())
    const repository = freshRepository()
    await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        metadata.putManifest(repository, looseManifest(`${index}`, `tag-${index}`)),
      ),
    )
    for (const end of ['stopServer', 'kill'] as const) {
      await server[end]()
      for (const call of [
        () => metadata.ping(),
        () => metadata.listTags(repository, { limit: 9 }),
        () => metadata.putManifest(repository, looseManifest('lost', 'lost')),
      ]) {
        const error = await rejectsWith('unavailable', call())
        assert.match(error.message, /^The database 127\.0\.0\.1:\d+\/\w+ cannot be used: .*\.$/)
      }
      await server.startServer()
      await metadata.ping()
      assert.equal((await metadata.listTags(repository, { limit: 99 })).length, 8)
    }
    await metadata.putManifest(repository, looseManifest('found', 'found'))
  })

  it('that goes away while calls are under way fails them, and keeps what was acknowledged', async () => {
    await using metadata = await openPostgresMetadata(await server.createDatabase())
    const repository = freshRepository()
    const acknowledged: string[] = []
    const stopped = Promise.withResolvers<void>()
    let isDown = false
    const pushing = Promise.all(
      Array.from({ length: 6 }, async (_, writer) => {
        for (let index = 0; !isDown; index++) {
          const tag = `${writer}-${index}`
          try {
            await metadata.putManifest(repository, looseManifest(tag, tag))
          } catch (error) {
            assert.ok(isDomainError(error, 'unavailable'), String(error))
            return
          }
          acknowledged.push(tag)
          if (acknowledged.length === 30) stopped.resolve()
        }
      }),
    )
    await stopped.promise
    await server.kill()
    isDown = true
    await pushing
    await server.startServer()
    const tags = new Set<string>(await metadata.listTags(repository, { limit: 10_000 }))
    assert.deepEqual(
      acknowledged.filter(tag => !tags.has(tag)),
      [],
    )
  })

  it('that ends idle connections is not noticed', async () => {
    const url = await server.createDatabase()
    await using metadata = await openPostgresMetadata(url)
    await Promise.all(Array.from({ length: 5 }, () => metadata.ping()))
    await run(url, `select pg_terminate_backend(pid) ${others}`)
    await Promise.all(
      Array.from({ length: 5 }, (_, index) =>
        metadata.putManifest(freshRepository(), looseManifest(`${index}`)),
      ),
    )
  })

  it('whose connection breaks within a transaction is asked once more', async () => {
    await using proxy = await startQueryProxy(await server.createDatabase())
    await using metadata = await openPostgresMetadata(proxy.url)
    const repository = freshRepository()
    proxy.interfere('insert into "manifests"', 'cut')
    await metadata.putManifest(repository, looseManifest('one', 'latest'))
    proxy.interfere('insert into "tags"', 'cut answer')
    await metadata.putManifest(repository, looseManifest('two', 'latest'))
    proxy.interfere('select "manifests"', 'cut answer')
    const { digest } = await metadata.statManifest(repository, latest)
    assert.equal(digest, looseManifest('two').digest)
    assert.equal(proxy.count, 3)
  })

  it('that does not answer a commit may have done it, and the same may be done again', async () => {
    await using proxy = await startQueryProxy(await server.createDatabase())
    await using metadata = await openPostgresMetadata(proxy.url)
    for (const interference of ['cut', 'cut answer'] as const) {
      const repository = freshRepository()
      const lose = async (call: () => Promise<unknown>) => {
        proxy.interfere('commit\0', interference)
        const error = await rejectsWith('unavailable', call())
        assert.match(error.message, /may have been stored/)
      }
      const upload = newUpload(repository, Date.now())
      await metadata.createUpload(upload)
      const { id: uploadId, holder, objectKey } = upload
      const digest = digestOf(Buffer.from(uploadId))
      const commit = { digest, size: 1, objectKey, repository, uploadId, holder }
      await lose(() => metadata.commitBlob(commit))
      assert.deepEqual(await metadata.commitBlob(commit), { digest, size: 1, objectKey })
      assert.ok(!(await metadata.listGarbage(99)).includes(objectKey))

      const manifest = looseManifest('in doubt', 'latest')
      await lose(() => metadata.putManifest(repository, manifest))
      await metadata.putManifest(repository, manifest)
      assert.equal((await metadata.statManifest(repository, latest)).digest, manifest.digest)
    }
    assert.equal(proxy.count, 4)
  })

  it('that falls silent is given up after a time, and so is one that nobody waits for', async () => {
    await using proxy = await startQueryProxy(await server.createDatabase())
    await using metadata = await openPostgresMetadata(proxy.url, { queryTimeoutMs: 3000, poolSize: 2 })
    const repository = freshRepository()
    proxy.interfere('insert into "manifests"', 'silence')
    const error = await rejectsWith('unavailable', metadata.putManifest(repository, looseManifest('one')))
    assert.match(error.message, /does not answer/)
    await metadata.putManifest(repository, looseManifest('one', 'latest'))

    const abort = new AbortController()
    proxy.interfere('select "manifests"', 'silence')
    const asked = metadata.statManifest(repository, latest, { signal: abort.signal })
    const reason = new Error('not wanted any more')
    abort.abort(reason)
    await assert.rejects(asked, (thrown: unknown) => thrown === reason)
    await metadata.statManifest(repository, latest)
  })

  it('is not waited for by a caller that has gone, and an aborted write leaves no trace', async () => {
    const url = await server.createDatabase()
    await using metadata = await openPostgresMetadata(url, { poolSize: 1 })
    await using other = await openPostgresMetadata(url)
    const repository = freshRepository()
    await metadata.putManifest(repository, looseManifest('one', 'latest'))
    const holding = new PostgresPool({ url, size: 1, connectTimeoutMs: 10_000 })
    const client = await holding.connect()
    await client.query('begin; lock table repositories in exclusive mode', [])
    const abort = new AbortController()
    const { signal } = abort
    const reason = new Error('not wanted any more')
    const isReason = (thrown: unknown) => thrown === reason
    const put = (text: string) => metadata.putManifest(repository, looseManifest(text, 'latest'), { signal })
    const stuck = assert.rejects(put('two'), isReason)
    // The pool has one connection, so this one does not begin.
    const waiting = assert.rejects(put('three'), isReason)
    await until(async () => (await run(url, `select 1 ${others} and wait_event_type = 'Lock'`)).length > 0)
    abort.abort(reason)
    await waiting
    await client.query('commit', [])
    client.release()
    await holding.end()
    await stuck
    assert.deepEqual(getEventListeners(signal, 'abort'), [])
    assert.equal((await other.statManifest(repository, latest)).digest, looseManifest('one').digest)
    await metadata.ping()
  })

  it('resolves a deadlock without any caller hearing of it', async () => {
    const url = await server.createDatabase()
    await using metadata = await openPostgresMetadata(url)
    const repositories = [freshRepository(), freshRepository()]
    for (const name of repositories) await metadata.putManifest(name, looseManifest('any'))
    const pool = new PostgresPool({ url, size: 2, connectTimeoutMs: 10_000 })
    const kysely = new Kysely<Schema>({ dialect: new ReadCommittedDialect(pool, 10_000) })
    const database = new Database(kysely, postgresFailures('test'))
    let attempts = 0
    let locks = 0
    const both = Promise.withResolvers<void>()
    await Promise.all(
      [repositories, repositories.toReversed()].map(names =>
        database.write(undefined, async db => {
          attempts += 1
          for (const name of names) {
            await db.updateTable('repositories').set({ created_at: 1 }).where('name', '=', name).execute()
            locks += 1
            if (locks === 2) both.resolve()
            await both.promise
          }
        }),
      ),
    )
    assert.ok(attempts > 2, `${attempts} attempts`)
    await database.close()
  })

  it('answers with numbers that are exact, or not at all', async () => {
    const pool = new PostgresPool({ url: server.url, size: 1, connectTimeoutMs: 10_000 })
    const kysely = new Kysely<Schema>({ dialect: new ReadCommittedDialect(pool, 10_000) })
    const ask = (number: bigint) => sql`select ${number.toString()}::int8 as number`.execute(kysely)
    const largest = BigInt(Number.MAX_SAFE_INTEGER)
    assert.deepEqual((await ask(largest)).rows, [{ number: Number.MAX_SAFE_INTEGER }])
    await assert.rejects(ask(largest + 1n), RangeError)
    await kysely.destroy()
  })

  it('says what is wrong, and never the password', async () => {
    const url = await server.createDatabase()
    const password = new URL(url).password
    const changed = (change: (url: URL) => void): string => {
      const copy = new URL(url)
      change(copy)
      return copy.href
    }
    await run(url, "create role stranger login password 'other-secret'")
    const readOnly = await server.createDatabase()
    await run(
      readOnly,
      `alter database ${new URL(readOnly).pathname.slice(1)} set default_transaction_read_only = on`,
    )
    const cases: readonly (readonly [string, RegExp])[] = [
      [changed(copy => (copy.password = 'wrong-secret')), /user and the password/],
      [changed(copy => (copy.pathname = '/absent')), /\/absent cannot be used: there is no database/],
      [changed(copy => (copy.port = '1')), /:1\/\w+ cannot be used: nothing listens/],
      [changed(copy => (copy.hostname = 'database.invalid')), /database\.invalid.*no address/],
      [changed(copy => (copy.search = '?sslmode=verify-full')), /TLS/],
      [readOnly, /read-only/],
      [
        changed(copy => {
          copy.username = 'stranger'
          copy.password = 'other-secret'
        }),
        /lacks a right/,
      ],
    ]
    for (const [wrong, message] of cases) {
      const error = await rejectsWith('unavailable', openPostgresMetadata(wrong))
      assert.match(error.message, message)
      assert.equal(error.details.resource, 'database')
      for (const secret of [password, 'wrong-secret', 'other-secret'])
        assert.ok(!inspect(error, { depth: 9 }).includes(secret))
    }
    const malformed = await rejectsWith('invalid', openPostgresMetadata('postgres://me:my-secret@[oops/db'))
    assert.ok(!inspect(malformed, { depth: 9 }).includes('my-secret'))
  })

  it('that is not there yet is waited for, by whoever has the patience', async () => {
    const url = await server.createDatabase()
    await server.stopServer()
    const reasons: string[] = []
    const patience = { forMs: 60_000, onWait: (reason: Error) => reasons.push(reason.message) }
    const opening = openPostgresMetadata(url, { patience })
    await until(async () => reasons.length >= 2)
    await server.startServer()
    await using metadata = await opening
    await metadata.ping()
    for (const reason of reasons) assert.match(reason, /^The database \S+ cannot be used: [^;]+; [^;]+\.$/)
  })

  it('that does not come back is waited for no longer than that, and no longer than somebody wants', async () => {
    const url = await server.createDatabase()
    await server.stopServer()
    try {
      let waits = 0
      const patience = { forMs: 5000, onWait: () => (waits += 1) }
      await rejectsWith('unavailable', openPostgresMetadata(url, { patience }))
      assert.ok(waits >= 2)
      const leaving = new AbortController()
      const reason = new Error('stop')
      const endless = { forMs: 3_600_000, onWait: () => leaving.abort(reason) }
      await assert.rejects(openPostgresMetadata(url, { patience: endless, signal: leaving.signal }), reason)
      assert.equal(getEventListeners(leaving.signal, 'abort').length, 0)
    } finally {
      await server.startServer()
    }
  })

  it('is not waited for when the settings are wrong', async () => {
    const url = new URL(await server.createDatabase())
    const patience = { forMs: 3_600_000, onWait: () => assert.fail('there is nothing to wait for') }
    url.password = 'wrong'
    await rejectsWith('unavailable', openPostgresMetadata(url.href, { patience }))
    const absent = new URL(await server.createDatabase())
    absent.pathname = '/absent'
    await rejectsWith('unavailable', openPostgresMetadata(absent.href, { patience }))
  })

  it('that has no connection left says so', async () => {
    await using small = await startPostgres({
      settings: { max_connections: '4', superuser_reserved_connections: '0' },
    })
    await using metadata = await openPostgresMetadata(small.url)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => commitText(metadata, freshRepository(), 'same', Date.now())),
    )
    const failed = outcomes.filter(outcome => outcome.status === 'rejected')
    assert.ok(failed.length > 0 && failed.length < 20)
    for (const { reason } of failed) {
      assert.ok(isDomainError(reason, 'unavailable'), String(reason))
      assert.match(reason.message, /max_connections/)
    }
    await metadata.ping()
  })
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 10))
}

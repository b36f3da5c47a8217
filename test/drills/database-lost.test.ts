import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createMachine, type Machine, pushSome } from '../support/drill.ts'
import { type PostgresTestServer, startPostgres } from '../support/postgres.ts'
import { skipWithout } from '../support/programs.ts'
import { type S3TestServer, skipWithoutS3, startS3Server } from '../support/s3-server.ts'

const withoutPostgres = await skipWithout('postgres')
const withoutS3 = await skipWithoutS3('versitygw')

/** How many of what the report of a restore counts. */
interface Reconciled {
  readonly missing: number
  readonly corrupt: number
  readonly strays: number
  readonly healed: number
}

describe('Drill: the database is lost, the objects are left', () => {
  const stack = new AsyncDisposableStack()
  let postgres: PostgresTestServer | undefined
  before(async () => {
    if (withoutPostgres === false) postgres = stack.use(await startPostgres())
  })
  after(() => stack.disposeAsync())

  const databaseOf = async (): Promise<string> => {
    if (postgres === undefined) throw new Error('there is no PostgreSQL')
    return await postgres.createDatabase()
  }
  const s3Of = async (): Promise<S3TestServer> => stack.use(await startS3Server('versitygw'))

  /** All that was acknowledged before the backup is there on the second machine; later ones are strays. */
  async function drill(first: Machine, lose: () => Promise<Machine>): Promise<void> {
    let expected: Map<string, string>
    {
      await using registry = await first.serve()
      await pushSome(registry.pusher, 'early')
      await pushSome(registry.pusher, 'early', 'other/tool')
      expected = await registry.pusher.inventory()
      // While it serves.
      assert.match(await first.ok('backup'), /^backup \d{8}t\d{6}x\w+: \d+ rows in /)
      assert.match(await first.ok('backup', 'verify'), /: whole/)
      await pushSome(registry.pusher, 'late')
      await registry.pusher.client.send('DELETE', '/v2/acme/app/manifests/early-one')
    }
    const second = await lose()
    const report = (await second.json('restore')) as { reconciled: Reconciled; movedTo: unknown }
    const { missing, corrupt, strays } = report.reconciled
    // Of the late images: two configs, two layers of each, one of which was there before.
    assert.deepEqual([missing, corrupt, strays], [0, 0, 6])
    assert.equal(report.movedTo, null)
    const audit = await second.ok('audit', '--operation', 'backup.restore', '--json')
    assert.match(audit, /"account":\s*"system:[\s\S]*"target":\s*"backup:\d{8}t/)
    await using registry = await second.serve()
    assert.deepEqual(await registry.pusher.inventory(), expected)
    // It goes on as before.
    await pushSome(registry.pusher, 'late')
    await registry.pusher.inventory()
  }

  it('SQLite and files', async () => {
    const first = await createMachine(stack)
    await drill(first, async () => {
      for (const suffix of ['', '-wal', '-shm']) await rm(`${first.sqlite}${suffix}`, { force: true })
      return first
    })
    assert.deepEqual(
      (await readdir(join(first.data, 'registry'))).filter(name => /snapshot|restore/.test(name)),
      [],
    )
  })

  it('SQLite and a bucket, on a new machine', { skip: withoutS3 }, async () => {
    const s3 = await s3Of()
    await drill(await createMachine(stack, { s3 }), () => createMachine(stack, { s3 }))
  })

  it('PostgreSQL and a bucket', { skip: withoutS3 || withoutPostgres }, async () => {
    const s3 = await s3Of()
    const first = await createMachine(stack, { s3, database: await databaseOf() })
    await drill(first, async () => await createMachine(stack, { s3, database: await databaseOf() }))
  })

  it('SQLite, which becomes PostgreSQL, and SQLite again', { skip: withoutPostgres }, async () => {
    const sqlite = await createMachine(stack)
    const { data } = sqlite
    await drill(sqlite, async () => await createMachine(stack, { data, database: await databaseOf() }))
    // Its old database is still there.
    await rm(sqlite.sqlite)
    const database = await databaseOf()
    const postgresAgain = await createMachine(stack, { data, database })
    await postgresAgain.ok('restore')
    const before = (await postgresAgain.json('backup', 'run'))['rows']
    const back = await createMachine(stack, { data })
    assert.equal((await back.json('restore'))['rows'], before)
    await using registry = await back.serve()
    assert.ok((await registry.pusher.inventory()).size > 10)
  })

  it('encrypted: only with the key', async () => {
    const keyFile = join((await createMachine(stack)).data, 'key')
    await writeFile(keyFile, 'a'.repeat(64))
    const first = await createMachine(stack, { more: { backup: { keyFile } } })
    await first.ok('backup')
    const { data } = first
    await rm(first.sqlite)
    const without = await createMachine(stack, { data })
    const { code, stderr } = await without.run('restore')
    assert.equal(code, 2)
    assert.match(stderr, /encrypted; name the file with its key in backup.keyFile/)
    assert.match(await first.ok('restore'), /^restored /)
  })

  it('users, tenants and tokens work again, and end when that is wanted', async () => {
    const passwordFile = join((await createMachine(stack)).data, 'password')
    await writeFile(passwordFile, 'correct horse battery staple')
    const first = await createMachine(stack, {
      more: { auth: { mode: 'token', realm: 'http://127.0.0.1:5000' } },
    })
    await first.ok('tenant', 'create', 'acme')
    await first.ok('user', 'create', 'alice', '--password-file', passwordFile)
    await first.ok('member', 'set', 'acme', 'alice', '--role', 'owner')
    const token = /vrv_\w+/.exec(await first.ok('token', 'create', 'alice'))?.[0] ?? ''
    await first.ok('backup')
    const whoami = async (): Promise<number> => {
      await using registry = await first.serve()
      const { status } = await fetch(`${registry.url}/api/v1/whoami`, {
        headers: { authorization: `Bearer ${token}` },
      })
      return status
    }
    assert.equal(await whoami(), 200)
    const lose = async () => {
      for (const suffix of ['', '-wal', '-shm']) await rm(`${first.sqlite}${suffix}`, { force: true })
    }
    await lose()
    await first.ok('restore')
    assert.equal(await whoami(), 200)
    assert.match(await first.ok('tenant', 'list'), /acme/)
    await lose()
    await first.ok('restore', '--revoke-tokens')
    assert.equal(await whoami(), 401)
  })

  it('from a directory, and from a file of it', async () => {
    const elsewhere = join((await createMachine(stack)).data, 'elsewhere')
    const first = await createMachine(stack)
    const made = await first.json('backup', 'run', '--to', elsewhere)
    await rm(first.sqlite)
    const none = await first.run('restore')
    assert.equal(none.code, 3)
    assert.match(none.stderr, /There is no backup in the object store/)
    const misspelt = join(first.data, 'elswhere')
    const wrong = await first.run('restore', '--from', misspelt)
    assert.deepEqual([wrong.code, wrong.stderr.includes(`There is no backup in ${misspelt};`)], [3, true])
    assert.deepEqual((await readdir(first.data)).includes('elswhere'), false)
    // As it is where nothing can be written: a store that is opened would make what is missing.
    await rm(join(elsewhere, 'staging'), { recursive: true })
    await first.ok('restore', '--from', elsewhere)
    assert.deepEqual(await readdir(elsewhere), ['objects'])
    const again = await first.run('restore', '--from', elsewhere)
    assert.equal(again.code, 5)
    assert.match(again.stderr, /has content; with --replace it is moved aside/)
    const file = join(elsewhere, 'objects', 'backups', String(made['id']), 'data')
    assert.match(await first.ok('restore', file, '--replace'), /that was there is .*-replaced-/)
  })
})

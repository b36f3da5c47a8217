import assert from 'node:assert/strict'
import { access } from 'node:fs/promises'
import { describe, it } from 'node:test'
import pg from 'pg'
import { type PostgresTestServer, startPostgres } from './postgres.ts'
import { exec } from './process.ts'
import { skipWithout } from './programs.ts'

const ask = async (url: string, sql: string): Promise<unknown[]> => {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows.flat()
  } finally {
    await client.end()
  }
}

describe('PostgreSQL for tests', { skip: await skipWithout('postgres') }, () => {
  it('makes databases that sort by bytes and ones that do not', async () => {
    await using server = await startPostgres()
    const sorted = "select x from (values ('a'), ('B'), ('c')) t (x) order by x"
    assert.deepEqual(await ask(server.url, sorted), ['B', 'a', 'c'])
    assert.deepEqual(await ask(await server.createDatabase(), sorted), ['a', 'B', 'c'])
    assert.deepEqual(await ask(await server.createDatabase({ locale: 'C.UTF-8' }), sorted), ['B', 'a', 'c'])
  })

  it('is refused while it is down, and has its data afterwards on the same port', async () => {
    await using server = await startPostgres({ settings: { max_connections: '7' } })
    await ask(server.url, 'create table t as select 42')
    for (const end of ['stopServer', 'kill'] as const) {
      await withOpenConnection(server, () => server[end]())
      await assert.rejects(ask(server.url, 'select 1'), { code: 'ECONNREFUSED' })
      await server.startServer()
      assert.deepEqual(await ask(server.url, 'select * from t'), [42])
    }
    assert.deepEqual(await ask(server.url, 'show max_connections'), ['7'])
  })

  it('refuses a wrong password and leaves nothing behind, killed or not', async () => {
    const server = await startPostgres()
    const url = new URL(server.url)
    url.password = 'wrong'
    await assert.rejects(ask(url.href, 'select 1'), { code: '28P01' })
    const [lock] = await ask(server.url, "select pg_read_file('postmaster.pid')")
    const [, directory = '', , , , , memory = ''] = String(lock).split('\n')
    const segment =
      memory.trim().split(/\s+/)[1] ?? assert.fail(`no segment of shared memory in ${String(lock)}`)
    assert.match(await sharedMemory(), new RegExp(`\\b${segment}\\b`))
    await server.kill()
    await server[Symbol.asyncDispose]()
    assert.doesNotMatch(await sharedMemory(), new RegExp(`\\b${segment}\\b`))
    await assert.rejects(access(directory), { code: 'ENOENT' })
  })
})

const sharedMemory = (): Promise<string> => exec('ipcs', ['--shmems'])

async function withOpenConnection(server: PostgresTestServer, work: () => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: server.url })
  const cut = new Promise<Error>(resolve => client.on('error', resolve))
  await client.connect()
  await work()
  assert.ok(await cut)
  await client.end().catch(() => {})
}

/** A registry whose PostgreSQL has no space left, for its tables or for its log: what clients are told, and what is kept. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chown } from 'node:fs/promises'
import { describe, it, type TestContext } from 'node:test'
import pg from 'pg'
import { digestOf } from '../../src/storage/digest.ts'
import { type PostgresTestServer, serverUser, startPostgres } from '../support/postgres.ts'
import { skipWithout } from '../support/programs.ts'
import { type Answer, manifestOf, RegistryClient } from '../support/registry-client.ts'
import { type ServedRegistry, serveRegistry } from '../support/served-registry.ts'
import { fillDisk, onSmallDisk } from '../support/small-disk.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const repository = 'team/app'

describe('A registry whose database has no space left', { skip: await skipWithout('postgres') }, () => {
  it('refuses pushes, serves what there is, and goes on by itself when there is space', async context => {
    await onServersDisk(context, 24, async disk => {
      await using server = await startPostgres()
      const url = await server.createDatabase()
      // Only the tables are there, not the log of transactions: so it is the server's answers that say it.
      await sql(server.url, `create tablespace small location '${disk}'`)
      await sql(server.url, `alter database ${new URL(url).pathname.slice(1)} set tablespace small`)
      await withRegistry(url, async (client, registry) => {
        const kept = await pushTagged(client, 'kept')
        await using filler = await fillDisk(disk)
        // What has room in the pages that are there already is taken; then none is any more.
        const { acknowledged, refused } = await pushUntilRefused(client)
        assert.deepEqual([refused.status, refused.codes], [507, ['UNAVAILABLE']])
        assert.match(String(refused.headers['retry-after']), /^\d+$/)
        await assertPulls(client, [kept, ...acknowledged])
        await filler.remove()
        const late = await pushTagged(client, 'late')
        await assertPulls(client, [kept, ...acknowledged, late])
        assertNoMistake(registry, server)
      })
    })
  })

  it('says 503 while the server cannot write its log, and has all that was acknowledged afterwards', async context => {
    await onServersDisk(context, 96, async disk => {
      await using server = await startPostgres({
        parent: disk,
        initdb: ['--wal-segsize=1'],
        settings: { max_wal_size: '2MB', min_wal_size: '2MB', shared_buffers: '16MB' },
      })
      const url = await server.createDatabase()
      await withRegistry(url, async (client, registry) => {
        const kept = await pushTagged(client, 'kept')
        const filler = await fillDisk(disk)
        const { acknowledged, refused } = await pushUntilRefused(client)
        assert.ok(refused.status === 503 || refused.status === 507, String(refused.status))
        assert.match(String(refused.headers['retry-after']), /^\d+$/)
        await filler.remove()
        // A server that could not write its log ends, and somebody has to start it.
        await server.stopServer()
        await server.startServer()
        await assertPulls(client, [kept, ...acknowledged])
        await assertPulls(client, [await pushTagged(client, 'late')])
        assertNoMistake(registry, server)
      })
    })
  })
})

interface Pushed {
  readonly tag: string
  readonly body: Buffer
}

const layer = randomBytes(1000)
const config = Buffer.from('{}')

/** Large, so that the pages of the tables are soon used up, and random, so that nothing makes it smaller. */
function taggedManifest(): Buffer {
  return manifestOf(config, [layer], { annotations: { filler: randomBytes(20_000).toString('base64') } })
}

async function pushTagged(client: RegistryClient, tag: string): Promise<Pushed> {
  for (const blob of [config, layer]) await client.pushBlob(repository, blob)
  const body = taggedManifest()
  assert.equal((await client.putManifest(repository, tag, body)).status, 201)
  return { tag, body }
}

async function pushUntilRefused(
  client: RegistryClient,
): Promise<{ acknowledged: Pushed[]; refused: Answer }> {
  const acknowledged: Pushed[] = []
  for (let index = 0; index < 3000; index += 1) {
    const pushed = { tag: `n${index}`, body: taggedManifest() }
    const answer = await client.putManifest(repository, pushed.tag, pushed.body)
    if (answer.status !== 201) return { acknowledged, refused: answer }
    acknowledged.push(pushed)
  }
  return assert.fail('nothing is refused')
}

async function assertPulls(client: RegistryClient, images: readonly Pushed[]): Promise<void> {
  for (const { tag, body } of images) {
    const { status, bytes } = await client.send('GET', `/v2/${repository}/manifests/${tag}`)
    assert.equal(status, 200, tag)
    assert.ok(bytes.equals(body))
  }
  const blob = await client.send('GET', `/v2/${repository}/blobs/${digestOf(layer)}`)
  assert.ok(blob.bytes.equals(layer))
}

function assertNoMistake(registry: ServedRegistry, server: PostgresTestServer): void {
  const lines = registry.lines()
  assert.deepEqual(
    lines.filter(({ status }) => status === 500),
    [],
  )
  assert.ok(!JSON.stringify(lines).includes(new URL(server.url).password))
}

async function withRegistry(
  url: string,
  test: (client: RegistryClient, registry: ServedRegistry) => Promise<void>,
): Promise<void> {
  await using directory = await temporaryDirectory()
  process.env['VARVE_DATABASE_URL'] = url
  try {
    await using registry = await serveRegistry(directory.path)
    await test(new RegistryClient(registry.url), registry)
  } finally {
    delete process.env['VARVE_DATABASE_URL']
  }
}

async function sql(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** A disk that belongs to the user of the server. */
async function onServersDisk(
  context: TestContext,
  sizeMiB: number,
  test: (disk: string) => Promise<void>,
): Promise<void> {
  await onSmallDisk(context, sizeMiB, async disk => {
    const user = await serverUser()
    if (user !== undefined) await chown(disk, user.uid, user.gid)
    await test(disk)
  })
}

/** Replicas whose database is behind a pooler that shares connections between transactions. */
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../src/storage/digest.ts'
import { fleetPartBytes } from '../support/fleet.ts'
import { skipWithout } from '../support/programs.ts'
import { RegistryClient, withQuery } from '../support/registry-client.ts'
import {
  type ReplicatedRegistry,
  skipWithoutReplicas,
  startReplicatedRegistry,
} from '../support/replicated-registry.ts'

const skip = (await skipWithoutReplicas()) || (await skipWithout('pgbouncer'))

describe('Three replicas behind a pooler of transactions', { skip }, () => {
  let registry: ReplicatedRegistry
  let client: RegistryClient
  before(async () => {
    // Fewer connections than one replica alone would open, and soon back after an outage.
    const settings = { default_pool_size: '4', server_login_retry: '1', query_wait_timeout: '3' }
    registry = await startReplicatedRegistry({ pooler: { mode: 'transaction', settings } })
    client = new RegistryClient(registry.url)
  })
  after(() => registry[Symbol.asyncDispose]())

  async function pushInChunks(repository: string, bytes: Buffer, chunkBytes: number): Promise<void> {
    let location = await client.startUpload(repository)
    for (let first = 0; first < bytes.length; first += chunkBytes) {
      const body = bytes.subarray(first, first + chunkBytes)
      const headers = { 'content-range': `${first}-${first + body.length - 1}` }
      const patched = await client.send('PATCH', location, { headers, body })
      assert.equal(patched.status, 202)
      location = String(patched.headers['location'])
    }
    const put = await client.send('PUT', withQuery(location, 'digest', digestOf(bytes)))
    assert.equal(put.status, 201)
  }

  async function assertEverywhere(path: string, bytes?: Buffer): Promise<void> {
    for (const url of registry.fleet.urls()) {
      const { status, bytes: got } = await new RegistryClient(url).send('GET', path)
      assert.equal(status, 200, path)
      if (bytes !== undefined) assert.ok(got.equals(bytes))
    }
  }

  it('take many images at once, each upload in chunks that come to all of them', async () => {
    await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const repository = `pooled/${randomUUID()}`
        const large = randomBytes(fleetPartBytes + 1000 * index)
        await pushInChunks(repository, large, 2_000_000)
        await client.pushImage(repository, 'latest', randomBytes(1000), large)
        await assertEverywhere(`/v2/${repository}/manifests/latest`)
        await assertEverywhere(`/v2/${repository}/blobs/${digestOf(large)}`, large)
      }),
    )
    assert.deepEqual(
      registry.fleet.lines().filter(({ status }) => status === 500),
      [],
    )
  })

  for (const end of ['stopServer', 'kill'] as const)
    it(`say 503 while the database is away (${end}), and go on with an upload when it is back`, async () => {
      const bytes = randomBytes(3000)
      const patched = await client.send('PATCH', await client.startUpload('pooled/app'), {
        body: bytes.subarray(0, 1000),
      })
      await client.pushImage('pooled/app', 'latest', bytes)
      await registry.database[end]()
      for (const [method, path] of [
        ['GET', '/v2/pooled/app/manifests/latest'],
        ['GET', '/v2/pooled/app/tags/list'],
        ['POST', '/v2/pooled/app/blobs/uploads/'],
        ['DELETE', '/v2/pooled/app/manifests/latest'],
      ] as const) {
        const { status, headers } = await client.send(method, path)
        assert.equal(status, 503, `${method} ${path}`)
        assert.match(String(headers['retry-after']), /^\d+$/)
      }
      await registry.database.startServer()
      // The pooler waits for a moment before it asks again.
      while ((await client.send('GET', '/v2/pooled/app/manifests/latest')).status === 503) await sleep(100)
      const again = await client.send('PATCH', String(patched.headers['location']), {
        body: bytes.subarray(1000),
      })
      assert.equal(again.status, 202)
      const close = withQuery(String(again.headers['location']), 'digest', digestOf(bytes))
      assert.equal((await client.send('PUT', close)).status, 201)
      await assertEverywhere(`/v2/pooled/app/blobs/${digestOf(bytes)}`, bytes)
    })

  it('have answered nothing with 500, and told nobody the password', () => {
    const lines = registry.fleet.lines()
    assert.deepEqual(
      lines.filter(({ status }) => status === 500),
      [],
    )
    assert.ok(!JSON.stringify(lines).includes(new URL(registry.database.url).password))
  })
})

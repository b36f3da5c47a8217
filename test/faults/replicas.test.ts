/** Replicas whose database or object store fails: what clients are told meanwhile, and what is there afterwards. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { eventuallyWithin } from '../support/eventually.ts'
import { fleetPartBytes } from '../support/fleet.ts'
import { type Answer, type Call, RegistryClient, withQuery } from '../support/registry-client.ts'
import {
  type ReplicatedRegistry,
  skipWithoutReplicas,
  startReplicatedRegistry,
} from '../support/replicated-registry.ts'
import type { S3Fault } from '../support/s3-faults.ts'

type Request = readonly [method: string, path: string, call?: Call]

const skip = await skipWithoutReplicas()

describe('Replicas', { skip }, () => {
  let registry: ReplicatedRegistry
  let client: RegistryClient
  const layer = randomBytes(2000)
  const large = randomBytes(2 * fleetPartBytes + 10)
  const blob = (bytes: Buffer) => `/v2/faulty/app/blobs/${digestOf(bytes)}`
  const start = '/v2/faulty/app/blobs/uploads/'
  const location = ({ headers }: Answer) => String(headers['location'])
  before(async () => {
    // So that a small blob is asked of the store each time.
    registry = await startReplicatedRegistry({ replicas: 2, storage: { cacheBytes: 0 } })
    client = new RegistryClient(registry.url)
    await client.pushImage('faulty/app', 'latest', layer, large)
  })
  after(() => registry[Symbol.asyncDispose]())
  afterEach(() => registry.s3.set({}))

  async function assertUnavailable(...[method, path, call]: Request): Promise<void> {
    const { status, headers, codes } = await client.send(method, path, call)
    assert.deepEqual([status, codes], [503, method === 'HEAD' ? [] : ['UNAVAILABLE']], `${method} ${path}`)
    assert.match(String(headers['retry-after']), /^\d+$/)
  }

  async function assertWhole(): Promise<void> {
    assert.equal((await client.send('GET', '/v2/faulty/app/manifests/latest')).status, 200)
    for (const bytes of [layer, large]) {
      const { status, bytes: got } = await client.send('GET', blob(bytes))
      assert.ok(status === 200 && got.equals(bytes))
    }
  }

  const pushOf = (bytes: Buffer): Request => [
    'POST',
    withQuery(start, 'digest', digestOf(bytes)),
    { body: bytes },
  ]

  for (const end of ['stopServer', 'kill'] as const)
    it(`say 503 while the database is away (${end}), and go on when it is back`, async () => {
      const bytes = randomBytes(3000)
      const patched = await client.send('PATCH', await client.startUpload('faulty/app'), {
        body: bytes.subarray(0, 1000),
      })
      await registry.database[end]()
      for (const request of [
        ['GET', blob(layer)],
        ['HEAD', blob(layer)],
        ['GET', '/v2/faulty/app/manifests/latest'],
        ['GET', '/v2/faulty/app/tags/list'],
        ['GET', '/v2/_catalog'],
        ['POST', start],
        ['PATCH', location(patched), { body: bytes.subarray(1000) }],
        ['DELETE', '/v2/faulty/app/manifests/latest'],
        pushOf(randomBytes(1000)),
      ] satisfies Request[])
        await assertUnavailable(...request)
      for (const index of [0, 1]) {
        const ready = await fetch(`${registry.fleet.replica(index).debugUrl}/readyz`)
        assert.equal(ready.status, 503)
      }
      await registry.database.startServer()
      await assertWhole()
      const again = await client.send('PATCH', location(patched), { body: bytes.subarray(1000) })
      assert.equal(again.status, 202)
      const put = await client.send('PUT', withQuery(location(again), 'digest', digestOf(bytes)))
      assert.equal(put.status, 201)
    })

  it('say 503 while the object store is away, and serve what needs none of it', async () => {
    await registry.s3.outage()
    await assertUnavailable('GET', blob(layer))
    await assertUnavailable('GET', blob(layer), { headers: { range: 'bytes=0-9' } })
    await assertUnavailable(...pushOf(randomBytes(1000)))
    await assertUnavailable('PATCH', await client.startUpload('faulty/app'), { body: randomBytes(1000) })
    assert.equal((await client.send('GET', '/v2/faulty/app/manifests/latest')).status, 200)
    assert.equal((await client.send('HEAD', blob(layer))).status, 200)
    await registry.s3.recover()
    await assertWhole()
    assert.equal((await client.send(...pushOf(randomBytes(1000)))).status, 201)
  })

  for (const fault of ['internal-error', 'slow-down', 'reset', 'late-error', 'lost-answer'] as const)
    it(`say 503 to a store that answers with ${fault} for good, and have all pushes when it has recovered`, async () => {
      registry.s3.set({ rates: { [fault]: 1 } })
      const bytes = randomBytes(1000)
      await assertUnavailable('GET', blob(layer))
      await assertUnavailable(...pushOf(bytes))
      registry.s3.set({})
      await assertWhole()
      assert.equal((await client.send(...pushOf(bytes))).status, 201)
      assert.ok((await client.send('GET', blob(bytes))).bytes.equals(bytes))
    })

  for (const fault of ['internal-error', 'slow-down', 'reset', 'reset-in-answer', 'truncated'] as const)
    it(`hide ${fault} when it happens once`, async () => {
      registry.s3.failNext(fault)
      await assertWhole()
      if (fault === 'reset-in-answer' || fault === 'truncated') return
      registry.s3.failNext(fault)
      assert.equal((await client.send(...pushOf(randomBytes(1000)))).status, 201)
    })

  it('say 503 to a small blob of which wrong bytes come, and cut a large one before its end', async () => {
    const blobs = [randomBytes(1000), randomBytes(large.length)] as const
    for (const bytes of blobs) assert.equal((await client.send(...pushOf(bytes))).status, 201)
    registry.s3.set({ rates: { 'wrong-bytes': 1 } })
    await assertUnavailable('GET', blob(blobs[0]))
    const response = await fetch(registry.url + blob(blobs[1]))
    assert.equal(response.status, 200)
    await assert.rejects(response.arrayBuffer())
    registry.s3.set({})
    // A replica may have looked at them twice meanwhile, and given them up. Then a push brings them back.
    for (const bytes of blobs)
      await eventuallyWithin(60, 'the bytes', async () => {
        assert.equal((await client.send(...pushOf(bytes))).status, 201)
        const { status, bytes: got } = await client.send('GET', blob(bytes))
        return status === 200 && got.equals(bytes)
      })
  })

  it('let no wrong byte of a tail into the blob that it becomes a part of', async () => {
    const bytes = randomBytes(2 * fleetPartBytes)
    const cut = fleetPartBytes - 1000
    const rest = { body: bytes.subarray(cut) }
    const patched = await client.send('PATCH', await client.startUpload('faulty/app'), {
      body: bytes.subarray(0, cut),
    })
    const tail = registry.s3.requests().findLast(({ operation }) => operation === 'PutObject')
    // Of no other object: a replica may still be looking at a blob of which it has been sent wrong bytes.
    registry.s3.failNext('wrong-bytes', { operation: 'GetObject', key: tail?.key })
    await assertUnavailable('PATCH', location(patched), rest)
    const again = await client.send('PATCH', location(patched), rest)
    assert.equal(again.status, 202)
    const put = await client.send('PUT', withQuery(location(again), 'digest', digestOf(bytes)))
    assert.equal(put.status, 201)
    assert.ok((await client.send('GET', blob(bytes))).bytes.equals(bytes))
  })

  it('have answered nothing with 500', () => {
    const mistakes = registry.fleet.lines().filter(({ status }) => status === 500)
    assert.deepEqual(mistakes, [])
  })

  it('were hit by all of that', () => {
    const kinds: readonly S3Fault[] = ['wrong-bytes', 'reset', 'truncated', 'slow-down', 'internal-error']
    for (const kind of kinds) assert.ok((registry.s3.injected()[kind] ?? 0) > 0, kind)
  })
})

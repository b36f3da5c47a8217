/** Replicas that share PostgreSQL and a bucket: whichever of them a request comes to, it goes on where the last one was. */
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { fleetPartBytes } from '../support/fleet.ts'
import { type Answer, type Call, RegistryClient, withQuery } from '../support/registry-client.ts'
import {
  type ReplicatedRegistry,
  skipWithoutReplicas,
  startReplicatedRegistry,
} from '../support/replicated-registry.ts'

const locationOf = ({ headers }: Answer) => String(headers['location'])

describe('Three replicas behind a round robin', { skip: await skipWithoutReplicas() }, () => {
  let registry: ReplicatedRegistry
  let client: RegistryClient
  before(async () => {
    registry = await startReplicatedRegistry()
    client = new RegistryClient(registry.url)
  })
  after(() => registry[Symbol.asyncDispose]())

  const close = (location: string, digest: Digest, call?: Call) =>
    client.send('PUT', withQuery(location, 'digest', digest), call)

  function chunkOf(bytes: Buffer, first: number, size: number): Call {
    const body = bytes.subarray(first, first + size)
    return { headers: { 'content-range': `${first}-${first + body.length - 1}` }, body }
  }

  /** From each of them, so none has anything of its own. */
  async function assertEverywhere(path: string, bytes: Buffer): Promise<void> {
    for (const url of registry.fleet.urls()) {
      const { status, bytes: got } = await new RegistryClient(url).send('GET', path)
      assert.equal(status, 200)
      assert.ok(got.equals(bytes))
    }
  }

  for (const [what, chunkBytes, size] of [
    ['of a part each', fleetPartBytes, 3 * fleetPartBytes],
    ['shorter than a part', 1_000_000, 3_100_000],
    ['longer than a part, which end in the middle of one', 7_000_000, 16_000_000],
  ] as const)
    it(`take an upload in chunks ${what}, each by another one`, async () => {
      const repository = `chunks/${randomUUID()}`
      const bytes = randomBytes(size)
      const digest = digestOf(bytes)
      const before = new Map(registry.balancer.answered)
      let location = await client.startUpload(repository)
      for (let first = 0; first < size; first += chunkBytes) {
        const patched = await client.send('PATCH', location, chunkOf(bytes, first, chunkBytes))
        const end = Math.min(first + chunkBytes, size)
        assert.deepEqual([patched.status, patched.headers['range']], [202, `0-${end - 1}`])
        location = locationOf(patched)
      }
      assert.equal((await close(location, digest)).status, 201)
      for (const url of registry.fleet.urls())
        assert.ok(
          (registry.balancer.answered.get(url) ?? 0) > (before.get(url) ?? 0),
          `${url} had no part in it`,
        )
      await assertEverywhere(`/v2/${repository}/blobs/${digest}`, bytes)
    })

  it('take an upload that is streamed to two and closed with the rest at a third', async () => {
    const bytes = randomBytes(2 * fleetPartBytes + 1000)
    const cut = fleetPartBytes + 17
    const digest = digestOf(bytes)
    const start = await client.startUpload('streamed/app')
    const patched = await client.send('PATCH', start, { body: bytes.subarray(0, cut) })
    const put = await close(locationOf(patched), digest, { body: bytes.subarray(cut) })
    assert.equal(put.status, 201)
    assert.equal((await close(locationOf(patched), digest)).status, 201, 'repeated, at another one')
    await assertEverywhere(`/v2/streamed/app/blobs/${digest}`, bytes)
  })

  it('refuse a body that is sent again, whichever of them comes to see it, and tell where the upload stands', async () => {
    const bytes = randomBytes(3000)
    let location = await client.startUpload('replayed/app')
    for (let first = 0; first < bytes.length; first += 1000) {
      const body = bytes.subarray(first, first + 1000)
      const patched = await client.send('PATCH', location, { body })
      assert.equal(patched.status, 202)
      for (const url of registry.fleet.urls()) {
        const again = await new RegistryClient(url).send('PATCH', location, { body })
        assert.deepEqual(
          [again.status, again.codes, again.headers['range']],
          [416, ['RANGE_INVALID'], `0-${first + 999}`],
        )
      }
      location = locationOf(patched)
    }
    assert.equal((await close(location, digestOf(bytes))).status, 201)
    await assertEverywhere(`/v2/replayed/app/blobs/${digestOf(bytes)}`, bytes)
  })

  it('see at once what another one has pushed, tagged and deleted', async () => {
    const digest = await client.pushImage('seen/app', 'latest', randomBytes(1000))
    const statuses = (path: string) =>
      Promise.all(
        registry.fleet.urls().map(async url => (await new RegistryClient(url).send('GET', path)).status),
      )
    assert.deepEqual(await statuses('/v2/seen/app/manifests/latest'), [200, 200, 200])
    await client.send('DELETE', '/v2/seen/app/manifests/latest')
    assert.deepEqual(await statuses('/v2/seen/app/manifests/latest'), [404, 404, 404])
    await client.send('DELETE', `/v2/seen/app/manifests/${digest}`)
    assert.deepEqual(await statuses(`/v2/seen/app/manifests/${digest}`), [404, 404, 404])
  })

  it('go on with an upload whose replica was killed between two chunks', async () => {
    const bytes = randomBytes(12_000_000)
    const start = await client.startUpload('killed/app')
    const patched = await client.send('PATCH', start, chunkOf(bytes, 0, 7_000_000))
    assert.equal(patched.status, 202)
    await registry.fleet.kill(0)
    const rest = await client.send('PATCH', locationOf(patched), chunkOf(bytes, 7_000_000, 5_000_000))
    assert.equal(rest.status, 202)
    await registry.fleet.restart(0)
    assert.equal((await close(locationOf(rest), digestOf(bytes))).status, 201)
    await assertEverywhere(`/v2/killed/app/blobs/${digestOf(bytes)}`, bytes)
  })
})

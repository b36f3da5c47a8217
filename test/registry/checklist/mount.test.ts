import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { RegistryClient, withQuery } from '../../support/registry-client.ts'

const bytes = randomBytes(300)
const digest = digestOf(bytes)
const absent = digestOf(Buffer.from('nobody has this'))

let registry: TestRegistry
let client: RegistryClient
before(async () => {
  registry = await startRegistry()
  client = new RegistryClient(registry.url)
  await client.pushBlob('mount/source', bytes)
})
after(() => registry.stop())

const fresh = () => `mount/${randomUUID()}`
const mount = (repository: string, query: string) =>
  client.send('POST', `/v2/${repository}/blobs/uploads/?${query}`)

describe('checklist: Mount', () => {
  for (const [box, query] of [
    ['201', `mount=${digest}&from=mount/source`],
    ['without `from`', `mount=${digest}`],
    ['with `digest` and `origin` as well', `digest=x&origin=y&mount=${digest}&from=mount%2Fsource`],
  ] as const)
    it(`${box}, then HEAD target`, async () => {
      const repository = fresh()
      const answer = await mount(repository, query)
      assert.equal(answer.status, 201)
      assert.equal(answer.headers['location'], `/v2/${repository}/blobs/${digest}`)
      assert.equal(answer.headers['docker-content-digest'], digest)
      const head = await client.send('HEAD', `/v2/${repository}/blobs/${digest}`)
      assert.deepEqual([head.status, head.headers['content-length']], [200, '300'])
    })

  for (const query of [
    `mount=${absent}&from=mount/source`,
    `mount=${absent}`,
    `mount=${digest}&from=mount/nowhere`,
    `mount=${digest}&from=UPPER`,
    `mount=${digest}&from=`,
    'mount=sha256:x&from=mount/source',
    'mount=',
  ])
    it(`missing → 202: ${query.replace(/[0-9a-f]{64}/, '…')}`, async () => {
      const repository = fresh()
      const answer = await mount(repository, query)
      assert.equal(answer.status, 202)
      assert.equal((await client.send('HEAD', `/v2/${repository}/blobs/${digest}`)).status, 404)
      const put = withQuery(String(answer.headers['location']), 'digest', digest)
      assert.equal((await client.send('PUT', put, { body: bytes })).status, 201)
    })

  it('of a blob that every repository has deleted → 202', async () => {
    const gone = randomBytes(20)
    const of = await client.pushBlob('mount/gone', gone)
    await client.send('DELETE', `/v2/mount/gone/blobs/${of}`)
    assert.equal((await mount(fresh(), `mount=${of}`)).status, 202)
  })

  it('survives the deletion at its source', async () => {
    const kept = randomBytes(20)
    const of = await client.pushBlob('mount/deleted', kept)
    const repository = fresh()
    assert.equal((await mount(repository, `mount=${of}&from=mount/deleted`)).status, 201)
    await client.send('DELETE', `/v2/mount/deleted/blobs/${of}`)
    assert.deepEqual((await client.send('GET', `/v2/${repository}/blobs/${of}`)).bytes, kept)
  })
})

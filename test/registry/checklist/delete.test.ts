import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { indexOf, manifestOf, RegistryClient } from '../../support/registry-client.ts'

const config = Buffer.from('{}')
const layer = Buffer.from('a layer')
const absent = digestOf(Buffer.from('absent'))

let registry: TestRegistry
let client: RegistryClient
before(async () => {
  registry = await startRegistry()
  client = new RegistryClient(registry.url)
})
after(() => registry.stop())

const fresh = () => `delete/${randomUUID()}`
const manifest = (repository: string, reference: string) => `/v2/${repository}/manifests/${reference}`
const blob = (repository: string, digest: string) => `/v2/${repository}/blobs/${digest}`

async function assertDeleted(path: string): Promise<void> {
  const { status, headers, bytes } = await client.send('DELETE', path)
  assert.deepEqual([status, headers['content-length'], bytes.length], [202, '0', 0])
  for (const method of ['HEAD', 'GET', 'DELETE']) assert.equal((await client.send(method, path)).status, 404)
}

describe('checklist: Delete', () => {
  it('tag only', async () => {
    const repository = fresh()
    const digest = await client.pushImage(repository, 'one', layer)
    await client.pushImage(repository, 'two', layer)
    await assertDeleted(manifest(repository, 'one'))
    for (const reference of ['two', digest])
      assert.equal((await client.send('GET', manifest(repository, reference))).status, 200)
  })

  it('digest kills all tags; immediate 404', async () => {
    const repository = fresh()
    const digest = await client.pushImage(repository, 'one', layer)
    await client.pushImage(repository, 'two', layer)
    await assertDeleted(manifest(repository, digest))
    for (const tag of ['one', 'two'])
      assert.equal((await client.send('HEAD', manifest(repository, tag))).status, 404)
    const { bytes } = await client.send('GET', `/v2/${repository}/tags/list`)
    assert.deepEqual(JSON.parse(bytes.toString()).tags, [])
  })

  it('a manifest that an index names', async () => {
    const repository = fresh()
    await client.pushImage(repository, 'child', layer)
    const child = manifestOf(config, [layer])
    const index = indexOf([[child, mediaTypes.ociManifest]])
    await client.putManifest(repository, 'index', index, mediaTypes.ociIndex)
    await assertDeleted(manifest(repository, digestOf(child)))
    assert.deepEqual((await client.send('GET', manifest(repository, 'index'))).bytes, index)
  })

  it('re-push after delete', async () => {
    const repository = fresh()
    for (let round = 0; round < 3; round++) {
      const digest = await client.pushImage(repository, 'again', layer)
      await assertDeleted(manifest(repository, 'again'))
      await assertDeleted(manifest(repository, digest))
      for (const bytes of [config, layer]) await assertDeleted(blob(repository, digestOf(bytes)))
      const refused = await client.putManifest(repository, 'again', manifestOf(config, [layer]))
      assert.deepEqual(refused.codes, ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'])
    }
  })

  it('blob in use → 405', async () => {
    const repository = fresh()
    const digest = await client.pushImage(repository, 'used', layer)
    for (const bytes of [config, layer]) {
      const { status, codes } = await client.send('DELETE', blob(repository, digestOf(bytes)))
      assert.deepEqual([status, codes], [405, ['DENIED']])
      assert.equal((await client.send('HEAD', blob(repository, digestOf(bytes)))).status, 200)
    }
    await assertDeleted(manifest(repository, digest))
    for (const bytes of [config, layer]) await assertDeleted(blob(repository, digestOf(bytes)))
  })

  it('never 400 for blobs', async () => {
    const repository = fresh()
    await client.pushImage(repository, 'x', layer)
    const statuses: number[] = []
    for (const digest of [digestOf(layer), absent, digestOf(layer, 'sha512')])
      statuses.push((await client.send('DELETE', blob(repository, digest))).status)
    assert.deepEqual(statuses, [405, 404, 404])
  })

  for (const [what, path, status, code] of [
    ['an unknown tag', manifest('delete/some', 'absent'), 404, 'MANIFEST_UNKNOWN'],
    ['an unknown digest', manifest('delete/some', absent), 404, 'MANIFEST_UNKNOWN'],
    ['an unknown blob', blob('delete/some', absent), 404, 'BLOB_UNKNOWN'],
    ['a malformed digest', manifest('delete/some', 'sha256:x'), 400, 'DIGEST_INVALID'],
  ] as const)
    it(`${what} is ${status} ${code}`, async () => {
      await client.pushImage('delete/some', 'x', layer)
      const answer = await client.send('DELETE', path)
      assert.deepEqual([answer.status, answer.codes], [status, [code]])
    })
})

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { manifestOf, RegistryClient } from '../support/registry-client.ts'

const layer = Buffer.from('a layer')
const body = manifestOf(Buffer.from('{}'), [layer])
const digest = digestOf(layer)

let writable: TestRegistry
let readOnly: TestRegistry
let client: RegistryClient
let session: string
before(async () => {
  writable = await startRegistry()
  const writer = new RegistryClient(writable.url)
  await writer.pushImage('kept', 'latest', layer)
  session = await writer.startUpload('kept')
  readOnly = await startRegistry({ directory: writable.directory, rules: { readOnly: true } })
  client = new RegistryClient(readOnly.url)
})
after(async () => {
  await readOnly.stop()
  await writable.stop()
})

describe('a read-only registry', () => {
  it('refuses every push and delete, and says what is allowed', async () => {
    for (const [method, path, allow] of [
      ['POST', '/v2/kept/blobs/uploads/', ''],
      ['POST', '/v2/kept/blobs/uploads', ''],
      ['POST', `/v2/new/blobs/uploads/?digest=${digest}`, ''],
      ['POST', `/v2/new/blobs/uploads/?mount=${digest}&from=kept`, ''],
      ['PATCH', session, 'GET'],
      ['PUT', `${session}&digest=${digest}`, 'GET'],
      ['DELETE', session, 'GET'],
      ['DELETE', `/v2/kept/blobs/${digest}`, 'GET, HEAD'],
      ['PUT', '/v2/kept/manifests/latest', 'GET, HEAD'],
      ['DELETE', '/v2/kept/manifests/latest', 'GET, HEAD'],
      ['DELETE', `/v2/kept/manifests/${digestOf(body)}`, 'GET, HEAD'],
    ] as const) {
      const answer = await client.send(method, path, method === 'DELETE' ? {} : { body })
      assert.deepEqual([answer.status, answer.codes], [405, ['UNSUPPORTED']], `${method} ${path}`)
      assert.equal(answer.headers['allow'], allow, `${method} ${path}`)
      assert.match(answer.bytes.toString(), /read-only/)
    }
  })

  it('serves everything that is there', async () => {
    for (const path of [
      '/v2/',
      '/v2/_catalog',
      '/v2/kept/tags/list',
      '/v2/kept/manifests/latest',
      `/v2/kept/manifests/${digestOf(body)}`,
      `/v2/kept/referrers/${digestOf(body)}`,
      `/v2/kept/blobs/${digest}`,
      '/v2/_oci/ext/discover',
    ])
      assert.equal((await client.send('GET', path)).status, 200, path)
    assert.equal((await client.send('GET', session)).status, 204)
  })
})

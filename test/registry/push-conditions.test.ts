import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { indexOf, manifestOf, RegistryClient } from '../support/registry-client.ts'

const config = Buffer.from('{}')

describe('a conditional push', () => {
  let registry: TestRegistry
  let client: RegistryClient
  before(async () => {
    registry = await startRegistry()
    client = new RegistryClient(registry.url)
    await client.pushBlob('c', config)
  })
  after(() => registry.stop())

  const version = (text: string) => manifestOf(config, [], { annotations: { text } })
  const put = (reference: string, body: Buffer, headers: Record<string, string>) =>
    client.send('PUT', `/v2/c/manifests/${reference}`, { headers, body })

  it('with If-None-Match: * makes a tag once', async () => {
    const headers = { 'if-none-match': '*' }
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => put('once', version(`${index}`), headers)),
    )
    const created = answers.filter(({ status }) => status === 201)
    assert.equal(created.length, 1)
    for (const { status, codes } of answers)
      if (status !== 201) assert.deepEqual([status, codes], [412, ['DENIED']])
    const { headers: got } = await client.send('HEAD', '/v2/c/manifests/once')
    assert.equal(got['docker-content-digest'], created[0]?.headers['docker-content-digest'])
  })

  it('with If-Match replaces only what the client has read', async () => {
    const [one, two, three] = [version('one'), version('two'), version('three')]
    await put('tag', one, {})
    const { headers: read } = await client.send('HEAD', '/v2/c/manifests/tag')
    const unchanged = { 'if-match': String(read['etag']) }
    assert.equal((await put('tag', two, unchanged)).status, 201)
    const late = await put('tag', three, unchanged)
    assert.deepEqual([late.status, late.codes], [412, ['DENIED']])
    assert.deepEqual((await client.send('GET', '/v2/c/manifests/tag')).bytes, two)
    assert.equal((await client.send('HEAD', `/v2/c/manifests/${digestOf(three)}`)).status, 404)
    assert.equal((await put('absent', three, { 'if-match': '*' })).status, 412)
  })

  it('by digest is about that digest', async () => {
    const body = version('by digest')
    const digest = digestOf(body)
    assert.equal((await put(`${digest}?tag=x`, body, { 'if-match': '*' })).status, 412)
    assert.equal((await put(`${digest}?tag=x`, body, { 'if-none-match': '*' })).status, 201)
    assert.equal((await put(`${digest}?tag=y`, body, { 'if-none-match': '*' })).status, 412)
    assert.equal((await client.send('HEAD', '/v2/c/manifests/y')).status, 404)
  })
})

describe('what a push must find there', () => {
  const image = manifestOf(Buffer.from('absent config'), [Buffer.from('absent layer')])
  const sparse = indexOf([[image, mediaTypes.ociManifest]])
  for (const [requireReferences, ofImage, ofIndex] of [
    ['none', [], []],
    ['blobs', ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'], []],
    ['all', ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'], ['MANIFEST_BLOB_UNKNOWN']],
  ] as const)
    it(`when references are checked: ${requireReferences}`, async () => {
      await using registry = await startRegistry({ rules: { requireReferences } })
      const client = new RegistryClient(registry.url)
      assert.deepEqual((await client.putManifest('r', 'index', sparse, mediaTypes.ociIndex)).codes, ofIndex)
      assert.deepEqual((await client.putManifest('r', 'image', image)).codes, ofImage)
      for (const [tag, body, codes] of [
        ['index', sparse, ofIndex],
        ['image', image, ofImage],
      ] as const) {
        const got = await client.send('GET', `/v2/r/manifests/${tag}`)
        assert.equal(got.status, codes.length === 0 ? 200 : 404)
        if (codes.length === 0) assert.deepEqual(got.bytes, body)
      }
    })
})

import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { maxManifestBytes } from '../../src/storage/manifest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { manifestOf, RegistryClient } from '../support/registry-client.ts'

const config = Buffer.from('{}')
const layer = Buffer.from('a layer')
const absent = digestOf(Buffer.from('absent'))
const path = (repository: string, reference: string) => `/v2/${repository}/manifests/${reference}`

let registry: TestRegistry
let client: RegistryClient

before(async () => {
  registry = await startRegistry()
  client = new RegistryClient(registry.url)
  await client.pushBlob('m', config)
  await client.pushBlob('m', layer)
})
after(() => registry.stop())

describe('a manifest', () => {
  it('comes back byte for byte, whatever its spaces and unknown members', async () => {
    const odd = Buffer.from(
      ` {\t"unknown": {"z": 1, "a": [ ]},\r\n${manifestOf(config, [layer]).toString().slice(1)}\n\n`,
    )
    const put = await client.putManifest('m', 'odd', odd)
    assert.equal(put.status, 201)
    assert.equal(put.headers['docker-content-digest'], digestOf(odd))
    assert.equal(put.headers['content-length'], '0')
    assert.equal(put.headers['location'], path('m', digestOf(odd)))
    for (const reference of ['odd', digestOf(odd)])
      for (const accept of [undefined, '*/*', 'text/html', mediaTypes.dockerManifest]) {
        const headers: Record<string, string> = accept === undefined ? {} : { accept }
        const got = await client.send('GET', path('m', reference), { headers })
        assert.deepEqual(got.bytes, odd)
        assert.equal(got.headers['content-type'], mediaTypes.ociManifest)
        assert.equal(got.headers['content-length'], String(odd.length))
        assert.equal(got.headers['docker-content-digest'], digestOf(odd))
        assert.equal(got.headers['etag'], `"${digestOf(odd)}"`)
        const head = await client.send('HEAD', path('m', reference), { headers })
        assert.equal(head.bytes.length, 0)
        for (const name of ['content-type', 'content-length', 'docker-content-digest', 'etag'])
          assert.equal(head.headers[name], got.headers[name], name)
      }
  })

  it('may be sent in chunked encoding, by sha512, and with parameters in its type', async () => {
    const body = manifestOf(config, [])
    const digest = digestOf(body, 'sha512')
    const put = await client.send('PUT', path('m', digest), {
      headers: { 'content-type': `${mediaTypes.ociManifest}; charset=utf-8` },
      body: Readable.from([body.subarray(0, 10), body.subarray(10)]),
    })
    assert.deepEqual([put.status, put.headers['docker-content-digest']], [201, digest])
    const got = await client.send('GET', path('m', digest))
    assert.deepEqual(got.bytes, body)
    assert.equal(got.headers['docker-content-digest'], digest)
    assert.equal(got.headers['content-type'], mediaTypes.ociManifest)
  })

  it('without a type is known by its mediaType or shape', async () => {
    for (const body of [manifestOf(config, [layer]), Buffer.from('{"schemaVersion":2,"manifests":[]}')])
      assert.equal((await client.send('PUT', path('m', 'sniffed'), { body })).status, 201)
  })

  it('that the client has is 304', async () => {
    const digest = await client.pushImage('m', 'cached', layer)
    for (const method of ['GET', 'HEAD'])
      for (const tag of [`"${digest}"`, digest])
        assert.equal(
          (await client.send(method, path('m', 'cached'), { headers: { 'if-none-match': tag } })).status,
          304,
        )
  })

  it('names its subject, which may be missing', async () => {
    const subject = { mediaType: mediaTypes.ociManifest, digest: absent, size: 7 }
    const image = await client.putManifest('m', 'referrer', manifestOf(config, [], { subject }))
    assert.deepEqual([image.status, image.headers['oci-subject']], [201, absent])
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [], subject }))
    const put = await client.putManifest('m', 'index-referrer', index, mediaTypes.ociIndex)
    assert.deepEqual([put.status, put.headers['oci-subject']], [201, absent])
  })

  it('by digest takes tags along', async () => {
    const body = manifestOf(config, [layer], { annotations: { for: 'tags' } })
    const tags = ['v1', 'v1.2', 'v1', 'latest']
    const query = tags.map(tag => `tag=${tag}`).join('&')
    const put = await client.putManifest('m', `${digestOf(body)}?${query}`, body)
    assert.deepEqual([put.status, put.headers['oci-tag']], [201, 'v1, v1.2, latest'])
    for (const tag of tags) assert.deepEqual((await client.send('GET', path('m', tag))).bytes, body)
    const bad = await client.putManifest('m', `${digestOf(body)}?tag=-`, body)
    assert.deepEqual([bad.status, bad.codes], [400, ['TAG_INVALID']])
    const many = Array.from({ length: 101 }, (_, index) => `tag=t${index}`).join('&')
    assert.equal((await client.putManifest('m', `${digestOf(body)}?${many}`, body)).status, 414)
  })

  it('is taken up to the limit, and not beyond', async () => {
    const sized = (size: number) => {
      const base = manifestOf(config, [], { annotations: { fill: '' } }).length
      return manifestOf(config, [], { annotations: { fill: 'x'.repeat(size - base) } })
    }
    const largest = sized(maxManifestBytes)
    assert.equal((await client.putManifest('m', 'largest', largest)).status, 201)
    assert.deepEqual((await client.send('GET', path('m', 'largest'))).bytes, largest)
    for (const body of [sized(maxManifestBytes + 1), Readable.from([sized(maxManifestBytes + 1)])]) {
      const answer = await client.send('PUT', path('m', 'too-large'), { body })
      assert.deepEqual([answer.status, answer.codes], [413, ['MANIFEST_INVALID']])
    }
    assert.equal((await client.send('HEAD', path('m', 'too-large'))).status, 404)
  })
})

describe('refused manifests', () => {
  const valid = manifestOf(config, [layer])
  const withType = (mediaType: string) => Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType }))
  const foreign = (urls: string[]) =>
    manifestOf(config, [], {
      layers: [
        {
          mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
          digest: absent,
          size: 5,
          urls,
        },
      ],
    })
  for (const [what, reference, type, body, codes] of [
    ['no JSON', 'x', mediaTypes.ociManifest, Buffer.from('{'), ['MANIFEST_INVALID']],
    ['nothing', 'x', mediaTypes.ociManifest, Buffer.alloc(0), ['MANIFEST_INVALID']],
    ['no object', 'x', mediaTypes.ociManifest, Buffer.from('[]'), ['MANIFEST_INVALID']],
    ['an unknown type', 'x', 'application/x-unknown', valid, ['MANIFEST_INVALID']],
    [
      'an unknown mediaType',
      'x',
      'application/vnd.example+json',
      withType('application/vnd.example+json'),
      ['MANIFEST_INVALID'],
    ],
    ['a type that is not its own', 'x', mediaTypes.dockerManifest, valid, ['MANIFEST_INVALID']],
    [
      'schema 1',
      'x',
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      Buffer.from('{"schemaVersion":1}'),
      ['MANIFEST_INVALID'],
    ],
    ['another digest', absent, mediaTypes.ociManifest, valid, ['DIGEST_INVALID']],
    ['a bad digest', 'sha256:baddigeststring', mediaTypes.ociManifest, valid, ['DIGEST_INVALID']],
    ['a bad tag', '.x', mediaTypes.ociManifest, valid, ['TAG_INVALID']],
    ['a long tag', 'x'.repeat(129), mediaTypes.ociManifest, valid, ['TAG_INVALID']],
    [
      'missing layers',
      'x',
      mediaTypes.ociManifest,
      manifestOf(config, [Buffer.from('absent'), layer, Buffer.from('absent too')]),
      ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'],
    ],
    [
      'a missing config',
      'x',
      mediaTypes.ociManifest,
      manifestOf(Buffer.from('absent'), [layer]),
      ['MANIFEST_BLOB_UNKNOWN'],
    ],
    ['a foreign layer without urls', 'x', mediaTypes.ociManifest, foreign([]), ['MANIFEST_BLOB_UNKNOWN']],
  ] as const)
    it(`with ${what}: ${codes[0]}`, async () => {
      const answer = await client.putManifest('m', reference, body, type)
      assert.deepEqual([answer.status, answer.codes], [400, codes])
      assert.equal((await client.send('HEAD', path('m', 'x'))).status, 404)
    })

  it('say which blobs are missing', async () => {
    const { bytes } = await client.putManifest('m', 'x', manifestOf(config, [Buffer.from('absent')]))
    assert.equal(JSON.parse(bytes.toString()).errors[0].detail.digest, absent)
  })

  it('do not count blobs of another repository', async () => {
    assert.deepEqual((await client.putManifest('elsewhere', 'x', valid)).codes, [
      'MANIFEST_BLOB_UNKNOWN',
      'MANIFEST_BLOB_UNKNOWN',
    ])
  })

  it('while foreign layers with urls and children of an index may be missing', async () => {
    assert.equal((await client.putManifest('m', 'foreign', foreign(['https://x/y']))).status, 201)
    const child = { mediaType: mediaTypes.ociManifest, digest: absent, size: 5 }
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [child] }))
    assert.equal((await client.putManifest('m', 'sparse', index, mediaTypes.ociIndex)).status, 201)
  })
})

describe('manifests that are not there', () => {
  for (const [where, status, code] of [
    [path('m', 'absent'), 404, 'MANIFEST_UNKNOWN'],
    [path('m', absent), 404, 'MANIFEST_UNKNOWN'],
    [path('nowhere', 'x'), 404, 'MANIFEST_UNKNOWN'],
    [path('m', '.INVALID_TAG'), 404, 'MANIFEST_UNKNOWN'],
    [path('m', 'sha256:bad'), 400, 'DIGEST_INVALID'],
  ] as const)
    it(`${where.slice(0, 40)} is ${status} ${code}`, async () => {
      for (const method of ['GET', 'DELETE']) {
        const answer = await client.send(method, where)
        assert.equal(answer.status, status, method)
        assert.match(answer.codes.join(), new RegExp(`${code}|NAME_UNKNOWN`), method)
      }
      const head = await client.send('HEAD', where)
      assert.deepEqual([head.status, head.bytes.length], [status, 0])
    })
})

describe('deleting a manifest', () => {
  it('by tag takes the tag alone', async () => {
    const digest = await client.pushImage('d', 'one', layer)
    await client.pushImage('d', 'two', layer)
    const answer = await client.send('DELETE', path('d', 'one'))
    assert.deepEqual([answer.status, answer.headers['content-length']], [202, '0'])
    assert.equal((await client.send('GET', path('d', 'one'))).status, 404)
    assert.equal((await client.send('GET', path('d', 'two'))).status, 200)
    assert.equal((await client.send('GET', path('d', digest))).status, 200)
  })

  it('by digest takes all its tags', async () => {
    const digest = await client.pushImage('d2', 'one', layer)
    await client.pushImage('d2', 'two', layer)
    assert.equal((await client.send('DELETE', path('d2', digest))).status, 202)
    for (const reference of ['one', 'two', digest])
      assert.equal((await client.send('GET', path('d2', reference))).status, 404)
    assert.equal((await client.send('DELETE', path('d2', digest))).status, 404)
    await client.pushImage('d2', 'one', layer)
    assert.equal((await client.send('GET', path('d2', digest))).status, 200)
  })
})

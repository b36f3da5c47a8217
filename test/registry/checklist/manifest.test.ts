import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { maxManifestBytes } from '../../../src/storage/manifest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { indexOf, manifestOf, RegistryClient } from '../../support/registry-client.ts'

const config = Buffer.from('{}')
const layer = Buffer.from('a layer')
const absent = digestOf(Buffer.from('absent'))
const other = digestOf(Buffer.from('also absent'))
const subject = { mediaType: mediaTypes.ociManifest, digest: absent, size: 7 }

let registry: TestRegistry
let client: RegistryClient
before(async () => {
  registry = await startRegistry()
  client = new RegistryClient(registry.url)
  for (const blob of [config, layer]) await client.pushBlob('m', blob)
})
after(() => registry.stop())

const path = (reference: string) => `/v2/m/manifests/${reference}`
const unique = () => manifestOf(config, [layer], { annotations: { unique: randomUUID() } })

async function assertTaken(body: Buffer, type: string = mediaTypes.ociManifest): Promise<void> {
  for (const reference of [digestOf(body), digestOf(body, 'sha512'), 'tag']) {
    const put = await client.putManifest('m', reference, body, type)
    assert.deepEqual([put.status, put.codes], [201, []], reference)
    const got = await client.send('GET', String(put.headers['location']))
    assert.deepEqual([got.status, got.headers['content-type'], got.bytes], [200, type, body])
    assert.equal(got.headers['docker-content-digest'], put.headers['docker-content-digest'])
  }
}

describe('checklist: Manifest', () => {
  it('byte-exact with odd whitespace', () =>
    assertTaken(Buffer.from(`\n{ "unknown" : [1.0, 1e2, "\\u0061"],\t${unique().toString().slice(1)}  \r\n`)))

  it('3.9 MB ok, > cap 413', async () => {
    const annotations = Object.fromEntries(
      Array.from({ length: 390 }, (_, index) => [`a${index}`, 'x'.repeat(10_000)]),
    )
    await assertTaken(manifestOf(config, [layer], { annotations }))
    const large = manifestOf(config, [], { annotations: { fill: 'x'.repeat(maxManifestBytes) } })
    for (const body of [large, Readable.from([large])]) {
      const answer = await client.send('PUT', path('large'), { body })
      assert.deepEqual([answer.status, answer.codes], [413, ['MANIFEST_INVALID']])
    }
  })

  it('chunked encoding', async () => {
    const body = unique()
    const headers = { 'content-type': mediaTypes.ociManifest }
    const sent = Readable.from([body.subarray(0, 1), body.subarray(1)])
    assert.equal((await client.send('PUT', path('chunked'), { headers, body: sent })).status, 201)
    assert.deepEqual((await client.send('GET', path('chunked'))).bytes, body)
  })

  for (const [box, reference] of [
    ['`sha256:baddigeststring` 400', 'sha256:baddigeststring'],
    ['digest mismatch 400', absent],
    ['digest mismatch 400, by sha512', digestOf(Buffer.from('absent'), 'sha512')],
    ['an algorithm that nobody registered 400', 'md5:d41d8cd98f00b204e9800998ecf8427e'],
  ] as const)
    it(box, async () => {
      const answer = await client.putManifest('m', reference, unique())
      assert.deepEqual([answer.status, answer.codes], [400, ['DIGEST_INVALID']])
    })

  it('missing layer → MANIFEST_BLOB_UNKNOWN, one per digest', async () => {
    const layers = ['absent', 'also absent', 'absent'].map(text => Buffer.from(text))
    const answer = await client.putManifest('m', 'x', manifestOf(config, [layer, ...layers]))
    assert.deepEqual([answer.status, answer.codes.length], [400, 2])
    const { errors } = JSON.parse(answer.bytes.toString())
    assert.deepEqual(
      errors.map((error: { code: string; detail: object }) => [error.code, error.detail]),
      [
        ['MANIFEST_BLOB_UNKNOWN', { digest: absent }],
        ['MANIFEST_BLOB_UNKNOWN', { digest: other }],
      ],
    )
  })

  it('foreign layers ok', async () => {
    for (const mediaType of [
      'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    ]) {
      const layers = [{ mediaType, digest: absent, size: 5, urls: ['https://elsewhere.example/layer'] }]
      await assertTaken(manifestOf(config, [], { layers }))
    }
  })

  it('missing subject ok + OCI-Subject', async () => {
    const answer = await client.putManifest('m', 'referrer', manifestOf(config, [], { subject }))
    assert.deepEqual([answer.status, answer.headers['oci-subject']], [201, absent])
  })

  it('index with subject', async () => {
    const answer = await client.putManifest('m', 'i', indexOf([], { subject }), mediaTypes.ociIndex)
    assert.deepEqual([answer.status, answer.headers['oci-subject']], [201, absent])
    const plain = await client.putManifest('m', 'plain', unique())
    assert.equal(plain.headers['oci-subject'], undefined)
  })

  it('empty layers / manifests', async () => {
    await assertTaken(manifestOf(config, []))
    await assertTaken(indexOf([]), mediaTypes.ociIndex)
  })

  it('data fields, custom fields and artifact types of any kind', async () => {
    const data = config.toString('base64')
    const emptyJson = {
      mediaType: 'application/vnd.oci.empty.v1+json',
      digest: digestOf(config),
      size: 2,
      data,
    }
    const artifactType = 'application/vnd.example.thing+zstd'
    await assertTaken(
      manifestOf(config, [], { artifactType, config: emptyJson, layers: [emptyJson], x: { y: null } }),
    )
    await assertTaken(indexOf([], { artifactType, x: [null] }), mediaTypes.ociIndex)
  })

  it('nested index', async () => {
    const image = unique()
    await client.putManifest('m', digestOf(image), image)
    const inner = indexOf([[image, mediaTypes.ociManifest]])
    await assertTaken(inner, mediaTypes.ociIndex)
    await assertTaken(indexOf([[inner, mediaTypes.ociIndex]]), mediaTypes.ociIndex)
  })

  it('docker schema 2 and OCI side by side, never converted', async () => {
    const docker = manifestOf(config, [layer], { mediaType: mediaTypes.dockerManifest })
    await assertTaken(docker, mediaTypes.dockerManifest)
    const list = indexOf([[docker, mediaTypes.dockerManifest]], { mediaType: mediaTypes.dockerManifestList })
    await assertTaken(list, mediaTypes.dockerManifestList)
  })

  it('schema1 → 400 MANIFEST_INVALID', async () => {
    for (const type of ['v1+json', 'v1+prettyjws']) {
      const body = Buffer.from('{"schemaVersion":1,"name":"m","tag":"x","fsLayers":[],"history":[]}')
      const mediaType = `application/vnd.docker.distribution.manifest.${type}`
      const answer = await client.putManifest('m', 'schema1', body, mediaType)
      assert.deepEqual([answer.status, answer.codes], [400, ['MANIFEST_INVALID']])
    }
  })

  describe('tag params', () => {
    const tagged = (tags: readonly string[], body: Buffer, reference: string = digestOf(body)) =>
      client.putManifest('m', `${reference}?${tags.map(tag => `tag=${tag}`).join('&')}`, body)

    it('10+', async () => {
      const body = unique()
      const tags = Array.from({ length: 100 }, (_, index) => `${index}-${'t'.repeat(120)}`)
      const put = await tagged(tags, body)
      assert.deepEqual([put.status, put.headers['oci-tag']?.split(', ')], [201, tags])
      for (const tag of tags)
        assert.equal((await client.send('HEAD', path(tag))).headers['docker-content-digest'], digestOf(body))
    })

    it('duplicates', async () => {
      const put = await tagged(['twice', 'once', 'twice'], unique())
      assert.deepEqual([put.status, put.headers['oci-tag']], [201, 'twice, once'])
    })

    it('bad tag', async () => {
      const body = unique()
      for (const bad of ['-bad', '', 'a%2Fb', 'x'.repeat(129)]) {
        const put = await tagged(['fine', bad], body)
        assert.deepEqual([put.status, put.codes], [400, ['TAG_INVALID']])
      }
      for (const reference of ['fine', digestOf(body)])
        assert.equal((await client.send('HEAD', path(reference))).status, 404)
    })

    it('on tag ref are ignored like any unknown key, and OCI-Tag does not claim them', async () => {
      const put = await tagged(['ignored'], unique(), 'real')
      assert.deepEqual([put.status, put.headers['oci-tag']], [201, undefined])
      assert.equal((await client.send('HEAD', path('ignored'))).status, 404)
    })

    it('too many → 414', async () => {
      const body = unique()
      const put = await tagged(
        Array.from({ length: 101 }, (_, index) => `many${index}`),
        body,
      )
      assert.deepEqual([put.status, put.codes], [414, ['MANIFEST_INVALID']])
      assert.equal((await client.send('HEAD', path('many0'))).status, 404)
    })

    it('move tags together, or not at all', async () => {
      const [before, refused] = [unique(), manifestOf(config, [Buffer.from('absent')])]
      await tagged(['one', 'two'], before)
      assert.equal((await tagged(['one', 'two'], refused)).status, 400)
      for (const tag of ['one', 'two']) assert.deepEqual((await client.send('GET', path(tag))).bytes, before)
    })
  })

  it('tag set by sha512', async () => {
    const body = unique()
    const digest = digestOf(body, 'sha512')
    const put = await client.putManifest('m', `${digest}?tag=long`, body)
    assert.deepEqual([put.status, put.headers['oci-tag']], [201, 'long'])
    for (const method of ['GET', 'HEAD']) {
      const { headers } = await client.send(method, path('long'))
      assert.equal(headers['docker-content-digest'], digest)
      assert.equal(headers['etag'], `"${digest}"`)
    }
    await client.putManifest('m', 'long', body)
    const { headers } = await client.send('HEAD', path('long'))
    assert.equal(headers['docker-content-digest'], digestOf(body))
  })
})

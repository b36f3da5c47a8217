import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { startDockerRegistry } from '../../support/docker-registry.ts'
import { skipWithout } from '../../support/programs.ts'
import { startPullThrough } from '../../support/pull-through-registry.ts'
import { indexOf, manifestOf, RegistryClient } from '../../support/registry-client.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

describe('pull-through from docker-registry', {
  skip: await skipWithout('docker-registry'),
  timeout: 120_000,
}, () => {
  const stack = new AsyncDisposableStack()
  const layer = Buffer.alloc(3_000_000, 'layer')
  const image = manifestOf(Buffer.from('{}'), [layer])
  const index = indexOf([[image, mediaTypes.ociManifest]])
  let upstream: CountedUpstream
  let source: RegistryClient
  let client: RegistryClient

  before(async () => {
    const directory = stack.use(await temporaryDirectory())
    const registry = await startDockerRegistry(directory.path)
    stack.defer(() => registry.stop())
    source = new RegistryClient(registry.url)
    for (const blob of [Buffer.from('{}'), layer]) {
      const { headers } = await source.send('POST', '/v2/team/app/blobs/uploads/')
      const location = new URL(headers['location'] ?? '', registry.url)
      location.searchParams.set('digest', digestOf(blob))
      const { status } = await source.send('PUT', location.pathname + location.search, { body: blob })
      assert.equal(status, 201)
    }
    assert.equal((await source.putManifest('team/app', 'one', image)).status, 201)
    assert.equal((await source.putManifest('team/app', 'many', index, mediaTypes.ociIndex)).status, 201)
    upstream = stack.use(await countUpstream(registry.url))
    const upstreams = [{ name: 'there', registry: upstream.host, prefix: 'up', absentSeconds: 3600 }]
    client = new RegistryClient(stack.use(await startPullThrough({ upstreams })).url)
  })
  after(() => stack.disposeAsync())

  it('has all of an image, byte for byte, and asks for each part once', async () => {
    for (let i = 0; i < 2; i += 1) {
      assert.deepEqual((await client.send('GET', '/v2/up/team/app/manifests/many')).bytes, index)
      assert.deepEqual(
        (await client.send('GET', `/v2/up/team/app/manifests/${digestOf(image)}`)).bytes,
        image,
      )
      for (const blob of [Buffer.from('{}'), layer])
        assert.deepEqual((await client.send('GET', `/v2/up/team/app/blobs/${digestOf(blob)}`)).bytes, blob)
    }
    const gets = upstream.take().filter(line => line.startsWith('GET'))
    assert.deepEqual(
      gets.sort(),
      [
        `GET /v2/team/app/blobs/${digestOf(Buffer.from('{}'))}`,
        `GET /v2/team/app/blobs/${digestOf(layer)}`,
        `GET /v2/team/app/manifests/${digestOf(image)}`,
        `GET /v2/team/app/manifests/${digestOf(index)}`,
      ].sort(),
    )
  })

  it('lists its tags, and referrers by the tag that stands in their place', async () => {
    const { bytes } = await client.send('GET', '/v2/up/team/app/tags/list')
    assert.deepEqual(JSON.parse(bytes.toString()), { name: 'up/team/app', tags: ['many', 'one'] })
    const sbom = manifestOf(Buffer.from('{}'), [layer], {
      artifactType: 'application/vnd.example.sbom',
      subject: { mediaType: mediaTypes.ociManifest, digest: digestOf(image), size: image.length },
    })
    assert.equal((await source.putManifest('team/app', 'sbom', sbom)).status, 201)
    const fallback = indexOf([[sbom, mediaTypes.ociManifest]])
    const tag = digestOf(image).replace(':', '-')
    assert.equal((await source.putManifest('team/app', tag, fallback, mediaTypes.ociIndex)).status, 201)
    const referrers = await client.send('GET', `/v2/up/team/app/referrers/${digestOf(image)}`)
    const { manifests } = JSON.parse(referrers.bytes.toString()) as { manifests: { digest: string }[] }
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [digestOf(sbom)],
    )
  })

  it('does not have what is not there', async () => {
    for (const path of [
      'manifests/none',
      `manifests/${digestOf(Buffer.from('x'))}`,
      `blobs/${digestOf(Buffer.from('x'))}`,
    ])
      for (const method of ['GET', 'HEAD'])
        assert.equal((await client.send(method, `/v2/up/team/app/${path}`)).status, 404, path)
    assert.equal((await client.send('GET', '/v2/up/team/none/tags/list')).status, 404)
  })
})

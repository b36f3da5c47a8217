import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { findTag, readManifest } from '../../fixtures/image/oci-layout.ts'
import {
  type ClientRegistry,
  clientRegistryPrograms,
  skopeoCopy,
  startClientRegistry,
  uploadedBytes,
} from '../../support/client-registry.ts'
import { diffIdsOf } from '../../support/layout-content.ts'
import { exec } from '../../support/process.ts'
import { skipWithout } from '../../support/programs.ts'

describe('skopeo', { skip: await skipWithout(...clientRegistryPrograms) }, () => {
  let registry: ClientRegistry
  before(async () => {
    registry = await startClientRegistry()
  })
  after(() => registry.stop())

  const skopeo = (...args: readonly string[]): Promise<string> => exec('skopeo', args)
  const fromFixture = (tag: string): string => `oci:${registry.fixture.layout}:${tag}`
  const fromOrigin = (tag: string): string => `docker://${registry.host}/${registry.origin}:${tag}`
  const inRegistry = (image: string): string => `docker://${registry.host}/${image}`

  it('copies an image to the registry and back, byte for byte', async () => {
    const { fixture, directory } = registry
    const back = join(directory, 'layers')
    await skopeoCopy('--preserve-digests', fromFixture(fixture.layers.tag), inRegistry('skopeo/layers:12'))
    await skopeoCopy('--preserve-digests', inRegistry('skopeo/layers:12'), `oci:${back}:12`)
    assert.equal((await findTag(back, '12')).digest, fixture.layers.digest)
  })

  it('copies an index with the images of all its platforms', async () => {
    const { fixture, directory } = registry
    const back = join(directory, 'index')
    const all = ['--all', '--preserve-digests']
    await skopeoCopy(...all, fromFixture(fixture.index.tag), inRegistry('skopeo/index:12'))
    await skopeoCopy(...all, inRegistry('skopeo/index:12'), `oci:${back}:12`)
    assert.equal((await findTag(back, '12')).digest, fixture.index.digest)
    for (const { digest } of fixture.index.images)
      assert.equal((await readManifest(back, digest)).kind, 'image')
  })

  it('copies an image with zstd layers, byte for byte', async () => {
    const back = join(registry.directory, 'zstd-back')
    await skopeoCopy('--preserve-digests', fromOrigin(registry.zstd.tag), inRegistry('skopeo/zstd:12'))
    await skopeoCopy('--preserve-digests', inRegistry('skopeo/zstd:12'), `oci:${back}:12`)
    assert.equal((await findTag(back, '12')).digest, registry.zstd.digest)
  })

  it("converts an image to Docker's schema 2 and back, with the same content", async () => {
    const { fixture, directory, client } = registry
    const back = join(directory, 'converted')
    await skopeoCopy('--format', 'v2s2', fromFixture(fixture.layers.tag), inRegistry('skopeo/schema2:12'))
    const { headers } = await client.send('HEAD', '/v2/skopeo/schema2/manifests/12')
    assert.equal(headers['content-type'], mediaTypes.dockerManifest)
    await skopeoCopy(inRegistry('skopeo/schema2:12'), `oci:${back}:12`)
    assert.deepEqual(await diffIdsOf(back, '12'), await diffIdsOf(fixture.layout, fixture.layers.tag))
  })

  it('uploads nothing when it copies an image again', async () => {
    const copy = () => skopeoCopy(fromFixture(registry.fixture.layers.tag), inRegistry('skopeo/again:12'))
    await copy()
    assert.equal(uploadedBytes(await registry.requests(copy)), 0)
  })

  it('mounts the layers of another repository of the registry', async () => {
    const { tag, config } = registry.fixture.layers
    const requests = await registry.requests(() =>
      skopeoCopy(fromOrigin(tag), inRegistry('skopeo/mounted:12')),
    )
    // It never mounts a config.
    assert.equal(uploadedBytes(requests), config.size)
  })

  it('lists the tags of two images that share layers', async () => {
    const { layers, branch } = registry.fixture
    await skopeoCopy(fromFixture(layers.tag), inRegistry('skopeo/tags:layers'))
    await skopeoCopy(fromFixture(branch.tag), inRegistry('skopeo/tags:branch'))
    const listed: unknown = JSON.parse(
      await skopeo('list-tags', '--tls-verify=false', inRegistry('skopeo/tags')),
    )
    assert.partialDeepStrictEqual(listed, { Tags: ['branch', 'layers'] })
  })

  it('deletes an image with all its tags', async () => {
    const image = fromFixture(registry.fixture.layers.tag)
    for (const tag of ['a', 'b']) await skopeoCopy(image, inRegistry(`skopeo/deleted:${tag}`))
    await skopeo('delete', '--tls-verify=false', inRegistry('skopeo/deleted:a'))
    assert.deepEqual(await registry.tags('skopeo/deleted'), [])
    await assert.rejects(
      skopeo('inspect', '--tls-verify=false', inRegistry('skopeo/deleted:b')),
      /manifest unknown|MANIFEST_UNKNOWN|has no manifest/,
    )
  })
})

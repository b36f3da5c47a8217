import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { findTag, readManifest } from '../../fixtures/image/oci-layout.ts'
import type { TaggedImage } from '../../fixtures/make-image.ts'
import {
  type ClientRegistry,
  clientRegistryPrograms,
  skopeoCopy,
  startClientRegistry,
  uploadedBytes,
} from '../../support/client-registry.ts'
import { withOwnStorage } from '../../support/container-storage.ts'
import { diffIdsOf } from '../../support/layout-content.ts'
import { skipWithout } from '../../support/programs.ts'

describe('buildah', { skip: await skipWithout(...clientRegistryPrograms) }, () => {
  let registry: ClientRegistry
  let buildah: (...args: readonly string[]) => Promise<string>
  before(async () => {
    registry = await startClientRegistry()
    buildah = withOwnStorage('buildah', registry.directory)
  })
  after(() => registry.stop())

  const plain = '--tls-verify=false'
  const inOrigin = (reference: string): string => `${registry.host}/${registry.origin}${reference}`
  const inRegistry = (image: string): string => `docker://${registry.host}/${image}`

  /** The smallest of the fixture: this storage copies an image for each of its layers. */
  const foreign = (): TaggedImage => {
    const [, image] = registry.fixture.index.images
    assert.ok(image !== undefined)
    return image
  }

  it('pulls the image of another platform through an index, and pushes it', async () => {
    const { fixture, directory } = registry
    const { os, architecture } = foreign().platform
    const image = inOrigin(`:${fixture.index.tag}`)
    await buildah('pull', plain, '--os', os, '--arch', architecture, image)
    await buildah('push', plain, image, inRegistry('buildah/pushed:12'))
    const back = join(directory, 'pushed')
    const platform = ['--override-os', os, '--override-arch', architecture]
    await skopeoCopy(...platform, inRegistry('buildah/pushed:12'), `oci:${back}:12`)
    assert.deepEqual(await diffIdsOf(back, '12'), await diffIdsOf(fixture.layout, foreign().tag))
  })

  it('pulls an image with zstd layers, and pushes it with the same digest', async () => {
    const image = inOrigin(`:${registry.zstd.tag}`)
    await buildah('pull', plain, image)
    await buildah('push', plain, image, inRegistry('buildah/zstd:12'))
    assert.equal(await registry.digest('buildah/zstd', '12'), registry.zstd.digest)
  })

  it('pushes what it built, in zstd, uploads nothing when it pushes it again, and pulls it back', async () => {
    const { directory, host } = registry
    const container = (await buildah('from', plain, inOrigin(`@${foreign().digest}`))).trim()
    await buildah('copy', container, import.meta.filename, '/srv/')
    await buildah('commit', '--rm', container, 'localhost/built:12')
    const push = () =>
      buildah(
        'push',
        plain,
        '--compression-format=zstd',
        'localhost/built:12',
        inRegistry('buildah/built:12'),
      )
    await push()
    assert.equal(uploadedBytes(await registry.requests(push)), 0)

    const back = join(directory, 'built')
    await skopeoCopy('--preserve-digests', inRegistry('buildah/built:12'), `oci:${back}:12`)
    const { digest } = await findTag(back, '12')
    assert.equal(await registry.digest('buildah/built', '12'), digest)
    const manifest = await readManifest(back, digest)
    assert.ok(manifest.kind === 'image')
    assert.match(manifest.layers.at(-1)?.mediaType ?? '', /\+zstd$/)

    await buildah('rmi', '--all', '--force')
    const id = (await buildah('pull', '--quiet', plain, `${host}/buildah/built:12`)).trim()
    assert.equal(manifest.config.digest, `sha256:${id}`)
  })

  it('makes an index of images in the registry and pushes it', async () => {
    const { fixture, client } = registry
    await buildah('manifest', 'create', 'localhost/multi')
    for (const { digest } of fixture.index.images)
      await buildah('manifest', 'add', plain, 'localhost/multi', `docker://${inOrigin(`@${digest}`)}`)
    await buildah('manifest', 'push', plain, '--all', 'localhost/multi', inRegistry('buildah/multi:12'))
    const { bytes } = await client.send('GET', '/v2/buildah/multi/manifests/12')
    const { manifests } = JSON.parse(bytes.toString()) as { manifests: { digest: string }[] }
    assert.deepEqual(
      manifests.map(({ digest }) => digest).sort(),
      fixture.index.images.map(({ digest }) => digest).sort(),
    )
  })
})

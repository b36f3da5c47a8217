import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { TaggedImage } from '../../fixtures/make-image.ts'
import {
  type ClientRegistry,
  clientRegistryPrograms,
  startClientRegistry,
  uploadedBytes,
} from '../../support/client-registry.ts'
import { withOwnStorage } from '../../support/container-storage.ts'
import { skipWithout } from '../../support/programs.ts'

describe('podman', { skip: await skipWithout(...clientRegistryPrograms, 'podman') }, () => {
  let registry: ClientRegistry
  let podman: (...args: readonly string[]) => Promise<string>
  before(async () => {
    registry = await startClientRegistry()
    podman = withOwnStorage('podman', registry.directory)
  })
  after(() => registry.stop())

  const plain = '--tls-verify=false'
  const inOrigin = (reference: string): string => `${registry.host}/${registry.origin}${reference}`
  const pull = (image: string, ...options: readonly string[]): Promise<string> =>
    podman('pull', '--quiet', plain, ...options, image)

  /** The smallest of the fixture: this storage copies an image for each of its layers. */
  const foreign = (): TaggedImage => {
    const [, image] = registry.fixture.index.images
    assert.ok(image !== undefined)
    return image
  }

  it('pulls an image with zstd layers, and pushes it with the same digest', async () => {
    const { zstd } = registry
    const push = () => podman('push', plain, inOrigin(`:${zstd.tag}`), `${registry.host}/podman/zstd:12`)
    await pull(inOrigin(`:${zstd.tag}`))
    await push()
    assert.equal(await registry.digest('podman/zstd', '12'), zstd.digest)
    assert.equal(uploadedBytes(await registry.requests(push)), 0)
    await podman('rmi', '--all', '--force')
  })

  it('pulls back what it pushed, with the same digest', async () => {
    const { host, directory } = registry
    const image = `${host}/podman/gzip:12`
    const id = await pull(inOrigin(`@${foreign().digest}`))
    const digestFile = join(directory, 'podman-digest')
    await podman('push', plain, `--digestfile=${digestFile}`, id.trim(), image)
    const digest = await registry.digest('podman/gzip', '12')
    assert.equal(await readFile(digestFile, 'utf8'), digest)
    await podman('rmi', '--all', '--force')
    assert.equal(await pull(image), id)
    const digests: unknown = JSON.parse(
      await podman('image', 'inspect', '--format', '{{json .RepoDigests}}', image),
    )
    assert.deepEqual(digests, [`${host}/podman/gzip@${digest}`])
  })

  it('pushes what it committed, in zstd, and pulls it back', async () => {
    const { host, client } = registry
    const base = (await pull(inOrigin(`@${foreign().digest}`))).trim()
    const container = (await podman('create', '--network=none', base, '/bin/true')).trim()
    await podman('cp', import.meta.filename, `${container}:/etc/`)
    const image = `${host}/podman/committed:12`
    const id = (await podman('commit', '--quiet', container, image)).trim()
    await podman('push', plain, '--compression-format=zstd', image)
    await podman('rm', '--force', container)
    await podman('rmi', '--all', '--force')
    assert.equal((await pull(image)).trim(), id)
    const { bytes } = await client.send('GET', '/v2/podman/committed/manifests/12')
    const { layers } = JSON.parse(bytes.toString()) as { layers: { mediaType: string }[] }
    assert.match(layers.at(-1)?.mediaType ?? '', /\+zstd$/)
  })

  it('makes an index of all platforms, pushes it, and pulls a platform of it', async () => {
    const { host, fixture } = registry
    const image = `${host}/podman/multi:12`
    await podman('manifest', 'create', image)
    await podman('manifest', 'add', plain, '--all', image, `docker://${inOrigin(`:${fixture.index.tag}`)}`)
    await podman('manifest', 'push', plain, '--all', image, `docker://${image}`)
    for (const { digest } of fixture.index.images) await registry.digest('podman/multi', digest)
    await podman('rmi', '--all', '--force')
    const { os, architecture } = foreign().platform
    await pull(image, `--platform=${os}/${architecture}`)
    const pulled = await podman('image', 'inspect', '--format', '{{.Architecture}}', image)
    assert.equal(pulled.trim(), architecture)
  })

  it('lists the tags of a repository', async () => {
    const { host, origin } = registry
    const listed: unknown = JSON.parse(
      await podman('search', plain, '--list-tags', '--format=json', `${host}/${origin}`),
    )
    assert.deepEqual(listed, [{ Name: `${host}/${origin}`, Tags: await registry.tags(origin) }])
  })
})

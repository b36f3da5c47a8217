import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import {
  type ClientRegistry,
  clientRegistryPrograms,
  skopeoCopy,
  startClientRegistry,
} from '../../support/client-registry.ts'
import { startCuttingProxy } from '../../support/cutting-proxy.ts'
import { type DockerDaemon, startDockerd } from '../../support/dockerd.ts'
import { diffIdsOf } from '../../support/layout-content.ts'
import { skipWithout } from '../../support/programs.ts'

// Debian's dockerd has no zstd: it stores such a layer and then cannot unpack it.
describe('docker', { skip: await skipWithout(...clientRegistryPrograms, 'dockerd') }, () => {
  let registry: ClientRegistry
  let daemon: DockerDaemon
  /** What the daemon calls the image that it has loaded. */
  const loaded = 'loaded:12'
  before(async () => {
    registry = await startClientRegistry()
    daemon = await startDockerd()
    const { fixture, directory } = registry
    const archive = join(directory, 'docker.tar')
    await skopeoCopy(`oci:${fixture.layout}:${fixture.branch.tag}`, `docker-archive:${archive}:${loaded}`)
    await docker('load', '--input', archive)
    await rm(archive)
  })
  after(async () => {
    await daemon?.stop()
    await registry?.stop()
  })

  const docker = (...args: readonly string[]): Promise<string> => daemon.docker(...args)
  const push = async (image: string): Promise<string> => {
    await docker('tag', loaded, image)
    return await docker('push', image)
  }
  const inspect = async (image: string): Promise<{ Id: string; RepoDigests: string[] }> => {
    const format = '{"Id":{{json .Id}},"RepoDigests":{{json .RepoDigests}}}'
    return JSON.parse(await docker('image', 'inspect', '--format', format, image))
  }
  const removeAll = async (): Promise<void> => {
    const images = (await docker('image', 'ls', '--quiet', '--no-trunc')).trim().split('\n')
    await docker('image', 'rm', '--force', ...new Set(images))
  }
  const count = (output: string, what: RegExp): number => output.match(what)?.length ?? 0

  it('pushes an image, and uploads nothing when it pushes it again', async () => {
    const image = `${registry.host}/docker/again:12`
    const layers = registry.fixture.branch.layers.length
    assert.equal(count(await push(image), /: (Pushed|Mounted from \S+)$/gm), layers)
    assert.equal(count(await push(image), /: Layer already exists$/gm), layers)
  })

  it('mounts the layers that another repository of the registry has', async () => {
    await push(`${registry.host}/docker/origin:12`)
    const output = await push(`${registry.host}/docker/mounted:12`)
    assert.equal(count(output, /: Mounted from docker\/\w+$/gm), registry.fixture.branch.layers.length)
  })

  it('pushes what skopeo then pulls', async () => {
    const { host, fixture, directory } = registry
    const image = `${host}/team/debian:12`
    await push(image)
    const back = join(directory, 'from-docker')
    await skopeoCopy(`docker://${image}`, `oci:${back}:12`)
    assert.deepEqual(await diffIdsOf(back, '12'), await diffIdsOf(fixture.layout, fixture.branch.tag))
  })

  it('pulls back what it pushed, with the same digest, and resumes a download that broke off', async () => {
    const { host, url } = registry
    const repository = 'docker/layers'
    const [, pushedDigest] = /digest: (sha256:\S+)/.exec(await push(`${host}/${repository}:12`)) ?? []
    const { Id } = await inspect(loaded)
    await removeAll()

    await using proxy = await startCuttingProxy(url, 1024 * 1024)
    const image = `${proxy.host}/${repository}:12`
    const requests = await registry.requests(() => docker('pull', image))
    // The other tests find the daemon as they left it.
    await docker('tag', image, loaded)
    assert.equal(proxy.cuts, 1)
    assert.ok(requests.some(({ operation, status }) => operation === 'blob.get' && status === 206))
    assert.deepEqual(await inspect(image), {
      Id,
      RepoDigests: [`${proxy.host}/${repository}@${pushedDigest}`],
    })
  })

  it('pulls a platform of an index, and makes a manifest list of two', async () => {
    const { host, fixture, origin, client } = registry
    const [, foreign] = fixture.index.images
    assert.ok(foreign !== undefined)
    const fromIndex = `${host}/${origin}:${fixture.index.tag}`
    const { os, architecture } = foreign.platform
    await docker('pull', `--platform=${os}/${architecture}`, fromIndex)
    const images = [`${host}/docker/multi:native`, `${host}/docker/multi:foreign`] as const
    await docker('tag', loaded, images[0])
    await docker('tag', fromIndex, images[1])
    for (const image of images) await docker('push', image)
    const list = `${host}/docker/multi:12`
    await docker('manifest', 'create', '--insecure', list, ...images)
    const pushed = (await docker('manifest', 'push', '--insecure', list)).trim()
    assert.equal(await registry.digest('docker/multi', '12'), pushed)
    const { headers, bytes } = await client.send('GET', '/v2/docker/multi/manifests/12')
    assert.equal(headers['content-type'], mediaTypes.dockerManifestList)
    const { manifests } = JSON.parse(bytes.toString()) as {
      manifests: { platform: { architecture: string } }[]
    }
    assert.deepEqual(
      manifests.map(({ platform }) => platform.architecture).sort(),
      fixture.index.images.map(({ platform }) => platform.architecture).sort(),
    )
  })
})

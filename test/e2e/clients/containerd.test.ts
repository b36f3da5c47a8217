import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Digest } from '../../../src/storage/digest.ts'
import {
  type ClientRegistry,
  clientRegistryPrograms,
  startClientRegistry,
  uploadedBytes,
} from '../../support/client-registry.ts'
import { type Containerd, startContainerd } from '../../support/containerd.ts'
import { startCuttingProxy } from '../../support/cutting-proxy.ts'
import { exec } from '../../support/process.ts'
import { skipWithout } from '../../support/programs.ts'

describe("containerd's ctr", { skip: await skipWithout(...clientRegistryPrograms, 'containerd') }, () => {
  let registry: ClientRegistry
  let daemon: Containerd
  before(async () => {
    registry = await startClientRegistry()
    daemon = await startContainerd()
  })
  after(async () => {
    await daemon?.stop()
    await registry?.stop()
  })

  const ctr = (...args: readonly string[]): Promise<string> => daemon.ctr(...args)
  const inOrigin = (tag: string): string => `${registry.host}/${registry.origin}:${tag}`
  const push = (image: string, local: string, ...options: readonly string[]): Promise<string> =>
    ctr('images', 'push', '--plain-http', ...options, image, local)
  const fetch = (image: string): Promise<string> =>
    ctr('content', 'fetch', '--plain-http', '--all-platforms', image)

  const localDigest = async (image: string): Promise<string | undefined> => {
    const line = (await ctr('images', 'list', `name==${image}`))
      .split('\n')
      .find(text => text.startsWith(image))
    return line?.split(/\s+/)[2]
  }
  const forgetAll = async (): Promise<void> => {
    const names = (await ctr('images', 'list', '--quiet')).split('\n').filter(name => name !== '')
    await ctr('images', 'remove', '--sync', ...names)
    assert.equal((await ctr('content', 'list', '--quiet')).trim(), '')
  }

  it('pushes an index with all platforms, uploads nothing again, and pulls it back', async () => {
    const { fixture, directory, host } = registry
    const archive = join(directory, 'fixture.tar')
    await exec('tar', ['--create', '--file', archive, '--directory', fixture.layout, '.'])
    await ctr('images', 'import', '--all-platforms', '--no-unpack', '--base-name=localhost/fixture', archive)

    const image = `${host}/ctr/index:12`
    const again = () => push(image, `localhost/fixture:${fixture.index.tag}`)
    await again()
    assert.equal(await registry.digest('ctr/index', '12'), fixture.index.digest)
    assert.equal(uploadedBytes(await registry.requests(again)), 0)

    await forgetAll()
    await fetch(image)
    assert.equal(await localDigest(image), fixture.index.digest)
    const content = (await ctr('content', 'list', '--quiet')).split('\n')
    for (const { digest, config, layers } of fixture.index.images)
      for (const blob of [digest, config.digest, ...layers.map(layer => layer.digest)])
        assert.ok(content.includes(blob), blob)
  })

  it('mounts the layers that it fetched from another repository of the registry', async () => {
    const { fixture, host } = registry
    await fetch(inOrigin(fixture.layers.tag))
    const requests = await registry.requests(() =>
      push(`${host}/ctr/mounted:12`, inOrigin(fixture.layers.tag)),
    )
    // It says where a layer comes from, and for configs it does not.
    assert.ok(uploadedBytes(requests) <= fixture.layers.config.size)
    assert.equal(await registry.digest('ctr/mounted', '12'), fixture.layers.digest)
  })

  it('pulls and unpacks an image with zstd layers, and pushes it with the same digest', async () => {
    const { zstd, host } = registry
    await ctr('images', 'pull', '--plain-http', '--snapshotter=native', inOrigin(zstd.tag))
    await push(`${host}/ctr/zstd:12`, inOrigin(zstd.tag))
    assert.equal(await registry.digest('ctr/zstd', '12'), zstd.digest)
  })

  it('resumes a download that broke off', async () => {
    const { fixture, url, origin } = registry
    await forgetAll()
    await using proxy = await startCuttingProxy(url, 1024 * 1024)
    const image = `${proxy.host}/${origin}:${fixture.layers.tag}`
    const requests = await registry.requests(() => fetch(image))
    assert.equal(proxy.cuts, 1)
    assert.ok(requests.some(({ operation, status }) => operation === 'blob.get' && status === 206))
    const digest: Digest = fixture.layers.digest
    assert.equal(await localDigest(image), digest)
  })
})

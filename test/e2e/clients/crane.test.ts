import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type ClientRegistry, startClientRegistry, uploadedBytes } from '../../support/client-registry.ts'
import { goClient, type Run, skipWithoutClients } from '../../support/go-clients.ts'

describe('crane', { skip: await skipWithoutClients('crane') }, () => {
  let registry: ClientRegistry
  let crane: Run
  before(async () => {
    registry = await startClientRegistry()
    crane = await goClient('crane', registry)
  })
  after(() => registry.stop())

  const inOrigin = (tag: string): string => `${registry.host}/${registry.origin}:${tag}`
  const digestOf = async (image: string): Promise<string> => (await crane('digest', image)).trim()

  for (const form of ['gzip', 'zstd'] as const)
    it(`pulls an image with ${form} layers, pushes it, and finds the same digest`, async () => {
      const { tag, digest } = form === 'zstd' ? registry.zstd : registry.fixture.layers
      const layout = join(registry.directory, `crane-${form}`)
      const image = `${registry.host}/crane/${form}:12`
      await crane('pull', '--format=oci', inOrigin(tag), layout)
      await crane('push', layout, image)
      assert.equal(await digestOf(image), digest)
      // It reads no zstd; what it checks beside is what the digest says already.
      if (form === 'gzip') await crane('validate', '--remote', image)
      assert.equal(uploadedBytes(await registry.requests(() => crane('push', layout, image))), 0)
    })

  it('pulls an index of all platforms, and pushes it', async () => {
    const { fixture, host, directory } = registry
    const layout = join(directory, 'crane-index')
    await crane('pull', '--format=oci', inOrigin(fixture.index.tag), layout)
    // It pushes the layout's own index, which has the one that it pulled as its only member.
    await crane('push', '--index', layout, `${host}/crane/index:12`)
    const image = `${host}/crane/index@${fixture.index.digest}`
    await crane('validate', '--remote', image)
    for (const { digest, platform } of fixture.index.images)
      assert.equal(
        (await crane('digest', `--platform=${platform.os}/${platform.architecture}`, image)).trim(),
        digest,
      )
  })

  it('copies an index to another repository by mounts alone', async () => {
    const { fixture, host } = registry
    const image = `${host}/crane/copied:12`
    const copy = () => crane('copy', inOrigin(fixture.index.tag), image)
    assert.equal(uploadedBytes(await registry.requests(copy)), 0)
    assert.equal(await digestOf(image), fixture.index.digest)
  })

  it('appends a layer to an image of the registry', async () => {
    const { fixture, host, directory } = registry
    const image = `${host}/crane/appended:12`
    const layer = join(fixture.layout, 'index.json')
    const pushed = await crane(
      'append',
      `--base=${inOrigin(fixture.branch.tag)}`,
      `--new_layer=${layer}`,
      `--new_tag=${image}`,
    )
    assert.equal(pushed.trim(), `${host}/crane/appended@${await digestOf(image)}`)
    await crane('pull', '--format=oci', image, join(directory, 'crane-appended'))
  })

  it('lists repositories and tags', async () => {
    const { fixture, host, origin } = registry
    for (const tag of ['b', 'a', 'B'])
      await crane('copy', inOrigin(fixture.branch.tag), `${host}/crane/tags:${tag}`)
    assert.deepEqual((await crane('ls', `${host}/crane/tags`)).trim().split('\n'), ['B', 'a', 'b'])
    assert.ok((await crane('catalog', host)).split('\n').includes(origin))
  })

  it('deletes a tag, and an image with all its tags', async () => {
    const { fixture, host } = registry
    const repository = `${host}/crane/deleted`
    for (const tag of ['a', 'b', 'c'])
      await crane('copy', inOrigin(fixture.branch.tag), `${repository}:${tag}`)
    await crane('delete', `${repository}:a`)
    assert.equal((await crane('ls', repository)).trim(), 'b\nc')
    await crane('delete', `${repository}@${fixture.branch.digest}`)
    assert.equal((await crane('ls', repository)).trim(), '')
    await assert.rejects(digestOf(`${repository}:b`), /MANIFEST_UNKNOWN/)
  })
})

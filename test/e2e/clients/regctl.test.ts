import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { findTag } from '../../fixtures/image/oci-layout.ts'
import { type ClientRegistry, startClientRegistry, uploadedBytes } from '../../support/client-registry.ts'
import { startCuttingProxy } from '../../support/cutting-proxy.ts'
import { goClient, type Run, skipWithoutClients } from '../../support/go-clients.ts'

describe('regctl', { skip: await skipWithoutClients('regctl') }, () => {
  let registry: ClientRegistry
  let regctl: Run
  before(async () => {
    registry = await startClientRegistry()
    regctl = await goClient('regctl', registry)
  })
  after(() => registry.stop())

  const copy = (from: string, to: string): Promise<string> => regctl('image', 'copy', from, to)
  const digest = async (image: string): Promise<string> => (await regctl('image', 'digest', image)).trim()
  const inOrigin = (tag: string): string => `${registry.host}/${registry.origin}:${tag}`

  it('copies an index with all platforms to the registry and back, and nothing again', async () => {
    const { fixture, host, directory } = registry
    const from = `ocidir://${fixture.layout}:${fixture.index.tag}`
    const image = `${host}/regctl/index:12`
    await copy(from, image)
    assert.equal(await digest(image), fixture.index.digest)
    assert.equal(uploadedBytes(await registry.requests(() => copy(from, image))), 0)
    await copy(image, 'ocidir://regctl-layout:12')
    assert.equal((await findTag(join(directory, 'regctl-layout'), '12')).digest, fixture.index.digest)
  })

  it('copies an image with zstd layers between repositories by mounts', async () => {
    const { zstd, host } = registry
    const image = `${host}/regctl/zstd:12`
    assert.equal(uploadedBytes(await registry.requests(() => copy(inOrigin(zstd.tag), image))), 0)
    assert.equal(await digest(image), zstd.digest)
  })

  it('pushes an artifact in chunks, and gets the same bytes back', async () => {
    const { host, directory } = registry
    const image = `${host}/regctl/artifact:1`
    const text = randomBytes(1_500_000).toString('hex')
    await writeFile(join(directory, 'artifact.txt'), text)
    await regctl('registry', 'set', '--tls=disabled', '--blob-chunk=1000000', '--blob-max=1000000', host)
    const file = ['--file=artifact.txt', '--file-media-type=text/plain']
    const requests = await registry.requests(() =>
      regctl('artifact', 'put', '--artifact-type=application/vnd.example.artifact', ...file, image),
    )
    const chunks = requests.filter(({ operation }) => operation === 'upload.append')
    assert.ok(chunks.length >= 3, `${chunks.length} chunks`)
    assert.ok((await regctl('artifact', 'get', image)) === text)
  })

  it('resumes a download that broke off', async () => {
    const { fixture, url, origin, directory } = registry
    await using proxy = await startCuttingProxy(url, 1024 * 1024)
    await regctl('registry', 'set', '--tls=disabled', proxy.host)
    const requests = await registry.requests(() =>
      copy(`${proxy.host}/${origin}:${fixture.layers.tag}`, 'ocidir://resumed:12'),
    )
    assert.equal(proxy.cuts, 1)
    assert.ok(requests.some(({ operation, status }) => operation === 'blob.get' && status === 206))
    assert.equal((await findTag(join(directory, 'resumed'), '12')).digest, fixture.layers.digest)
  })

  it('lists repositories and tags', async () => {
    const { fixture, host, origin } = registry
    for (const tag of ['b', 'a']) await copy(inOrigin(fixture.branch.tag), `${host}/regctl/tags:${tag}`)
    assert.equal((await regctl('tag', 'ls', `${host}/regctl/tags`)).trim(), 'a\nb')
    assert.ok((await regctl('repo', 'ls', host)).split('\n').includes(origin))
  })

  it('deletes a tag, and an image with all its tags', async () => {
    const { fixture, host } = registry
    const repository = `${host}/regctl/deleted`
    for (const tag of ['a', 'b', 'c']) await copy(inOrigin(fixture.branch.tag), `${repository}:${tag}`)
    await regctl('tag', 'delete', `${repository}:a`)
    assert.equal((await regctl('tag', 'ls', repository)).trim(), 'b\nc')
    await regctl('manifest', 'delete', `${repository}@${fixture.branch.digest}`)
    assert.equal((await regctl('tag', 'ls', repository)).trim(), '')
  })
})

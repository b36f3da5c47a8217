import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { findTag } from '../../fixtures/image/oci-layout.ts'
import { type ClientRegistry, startClientRegistry, uploadedBytes } from '../../support/client-registry.ts'
import { goClient, type Run, skipWithoutClients } from '../../support/go-clients.ts'

describe('oras', { skip: await skipWithoutClients('oras') }, () => {
  const model = randomBytes(3_000_000)
  const type = 'application/vnd.example.model'
  let registry: ClientRegistry
  let oras: Run
  before(async () => {
    registry = await startClientRegistry()
    oras = await goClient('oras', registry)
    await writeFile(join(registry.directory, 'model.bin'), model)
    await writeFile(join(registry.directory, 'model.json'), '{"name":"model"}')
  })
  after(() => registry.stop())

  const plain = '--plain-http'
  const resolve = async (image: string): Promise<string> => (await oras('resolve', plain, image)).trim()
  const push = (image: string): Promise<string> =>
    oras(
      'push',
      plain,
      `--artifact-type=${type}`,
      // Otherwise it would write the time into the manifest.
      '--annotation=org.opencontainers.image.created=2024-01-01T00:00:00Z',
      image,
      'model.bin:application/octet-stream',
      'model.json:application/json',
    )

  it('pushes an artifact, uploads nothing again, and pulls the same files back', async () => {
    const { host, directory } = registry
    const image = `${host}/oras/artifact:1`
    await push(image)
    const digest = await resolve(image)
    assert.equal(uploadedBytes(await registry.requests(() => push(image))), 0)
    assert.equal(await resolve(image), digest)
    const manifest = JSON.parse(await oras('manifest', 'fetch', plain, image)) as { artifactType: string }
    assert.equal(manifest.artifactType, type)
    await oras('pull', plain, '--output=pulled', image)
    assert.deepEqual(await readFile(join(directory, 'pulled/model.bin')), model)
  })

  it('copies an index with all platforms to a layout and back', async () => {
    const { host, fixture, origin, directory } = registry
    const image = `${host}/oras/index:12`
    const { tag, digest } = fixture.index
    await oras('copy', '--from-plain-http', '--to-oci-layout', `${host}/${origin}:${tag}`, 'oras-layout:12')
    assert.equal((await findTag(join(directory, 'oras-layout'), '12')).digest, digest)
    await oras('copy', '--from-oci-layout', '--to-plain-http', 'oras-layout:12', image)
    assert.equal(await resolve(image), digest)
    for (const { digest: child } of fixture.index.images) await registry.digest('oras/index', child)
  })

  it('copies an image with zstd layers between repositories by mounts', async () => {
    const { host, zstd, origin } = registry
    const image = `${host}/oras/zstd:12`
    const copy = () =>
      oras('copy', '--from-plain-http', '--to-plain-http', `${host}/${origin}:${zstd.tag}`, image)
    assert.equal(uploadedBytes(await registry.requests(copy)), 0)
    assert.equal(await resolve(image), zstd.digest)
  })

  it('pushes, fetches and deletes a blob', async () => {
    const { host, directory } = registry
    const blob = `${host}/oras/blobs@${digestOf(model)}`
    await oras('blob', 'push', plain, `${host}/oras/blobs`, 'model.bin')
    await oras('blob', 'fetch', plain, '--output=fetched.bin', blob)
    assert.deepEqual(await readFile(join(directory, 'fetched.bin')), model)
    await oras('blob', 'delete', plain, '--force', blob)
    await assert.rejects(oras('blob', 'fetch', plain, '--output=gone.bin', blob), /not found/)
  })

  it('lists repositories and tags, tags again, and deletes an artifact with all its tags', async () => {
    const { host } = registry
    const repository = `${host}/oras/tags`
    await push(`${repository}:a`)
    await oras('tag', plain, `${repository}:a`, 'b', 'c')
    assert.equal((await oras('repo', 'tags', plain, repository)).trim(), 'a\nb\nc')
    assert.ok((await oras('repo', 'ls', plain, host)).split('\n').includes('oras/tags'))
    await oras('manifest', 'delete', plain, '--force', `${repository}:a`)
    assert.equal((await oras('repo', 'tags', plain, repository)).trim(), '')
  })
})

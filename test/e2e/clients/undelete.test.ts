import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { goClient, type Run, skipWithoutClients } from '../../support/go-clients.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'

const name = parseRepositoryName('acme/app')

describe('What clients have deleted', { skip: await skipWithoutClients('crane', 'regctl') }, () => {
  let registry: TestRegistry
  let directory: string
  let image: string
  let crane: Run
  let regctl: Run
  before(async () => {
    registry = await startRegistry()
    directory = await mkdtemp(join(tmpdir(), 'varve-undelete-'))
    const { host } = new URL(registry.url)
    image = `${host}/acme/app`
    crane = await goClient('crane', { host, directory })
    regctl = await goClient('regctl', { host, directory })
  })
  after(async () => {
    await registry.stop()
    await rm(directory, { recursive: true })
  })

  const digestOf = async (reference: string) => (await crane('digest', reference)).trim()
  /** Each image has a layer of its own. */
  async function append(tag: string): Promise<string> {
    const layer = join(directory, `${tag}.tar`)
    // An archive of nothing, with as many zeros behind it as make it another one.
    await writeFile(layer, Buffer.alloc(10_240 + 512 * tag.length))
    await crane('append', `--new_layer=${layer}`, `--new_tag=${image}:${tag}`)
    return await digestOf(`${image}:${tag}`)
  }
  const referrers = async (digest: string): Promise<readonly { digest: string }[]> => {
    const list = await regctl('artifact', 'list', `${image}@${digest}`, '--format', '{{json .}}')
    return (JSON.parse(list) as { descriptors: { digest: string }[] }).descriptors
  }

  it('an index with its images and a referrer comes back by its tag, and all of it is pulled again', async () => {
    const children = [await append('amd'), await append('arm64')]
    await crane(
      'index',
      'append',
      ...children.map(child => `--manifest=${image}@${child}`),
      `--tag=${image}:v1`,
    )
    const index = await digestOf(`${image}:v1`)
    await writeFile(join(directory, 'sbom.json'), '{}')
    await regctl(
      'artifact',
      'put',
      '--subject',
      `${image}:v1`,
      '--artifact-type',
      'application/vnd.example.sbom',
      '--file',
      join(directory, 'sbom.json'),
    )
    const [sbom] = await referrers(index)
    if (sbom === undefined) assert.fail('there is no referrer')

    for (const digest of [...children, index, sbom.digest])
      await regctl('manifest', 'delete', `${image}@${digest}`)
    assert.deepEqual((await crane('ls', image)).trim(), '')
    await assert.rejects(crane('pull', `${image}@${index}`, join(directory, 'gone.tar')), /MANIFEST_UNKNOWN/)
    assert.equal((await registry.metadata.listDeletedManifests(name, { limit: 9 })).length, 4)

    const restored = await registry.metadata.restoreTag(name, parseTag('v1'), undefined)
    assert.deepEqual([restored.digest, restored.wasDeleted], [index, true])
    assert.equal(await digestOf(`${image}:v1`), index)
    await crane('validate', '--remote', `${image}:v1`)
    await crane('pull', '--format=oci', `${image}:v1`, join(directory, 'layout'))
    for (const child of children) await crane('validate', '--remote', `${image}@${child}`)
    assert.deepEqual(
      (await referrers(index)).map(({ digest }) => digest),
      [sbom.digest],
    )
    assert.equal(await regctl('artifact', 'get', `${image}@${sbom.digest}`), '{}')
    assert.deepEqual((await crane('ls', image)).trim(), 'v1')
  })

  it('a tag that was overwritten is set back', async () => {
    const before = await append('first')
    const other = await append('overwriting')
    await crane('tag', `${image}:first`, 'moving')
    await crane('tag', `${image}:overwriting`, 'moving')
    assert.equal(await digestOf(`${image}:moving`), other)
    await registry.metadata.restoreTag(name, parseTag('moving'), undefined)
    assert.equal(await digestOf(`${image}:moving`), before)
    await crane('validate', '--remote', `${image}:moving`)
  })
})

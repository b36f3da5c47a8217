import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { goClient, type Run, skipWithoutClients } from '../../support/go-clients.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'

describe('crane, while repositories are renamed, deleted and restored', {
  skip: await skipWithoutClients('crane'),
}, () => {
  let registry: TestRegistry
  let directory: string
  let host: string
  let crane: Run
  before(async () => {
    registry = await startRegistry()
    directory = await mkdtemp(join(tmpdir(), 'varve-rename-'))
    host = new URL(registry.url).host
    crane = await goClient('crane', { host, directory })
    // An archive of nothing: its end.
    await writeFile(join(directory, 'layer.tar'), Buffer.alloc(10_240))
    await crane('append', `--new_layer=${join(directory, 'layer.tar')}`, `--new_tag=${host}/acme/old:v1`)
    await crane('tag', `${host}/acme/old:v1`, 'v2')
  })
  after(async () => {
    await registry.stop()
    await rm(directory, { recursive: true })
  })

  const [old, renamed] = [parseRepositoryName('acme/old'), parseRepositoryName('acme/renamed')]
  const digest = async (image: string) => (await crane('digest', `${host}/${image}`)).trim()

  it('pulls by the new name what was pushed under the old one', async () => {
    const before = await digest('acme/old:v1')
    await registry.metadata.renameRepository({ from: old, to: renamed })
    assert.equal(await digest('acme/renamed:v1'), before)
    assert.deepEqual((await crane('ls', `${host}/acme/renamed`)).trim().split('\n'), ['v1', 'v2'])
    await crane('validate', '--remote', `${host}/acme/renamed:v2`)
    await crane('pull', `${host}/acme/renamed@${before}`, join(directory, 'image.tar'))
    await assert.rejects(
      crane('pull', `${host}/acme/old:v1`, join(directory, 'old.tar')),
      /NAME_UNKNOWN|404|MANIFEST_UNKNOWN/,
    )
    await assert.rejects(crane('ls', `${host}/acme/old`), /NAME_UNKNOWN/)
    await assert.rejects(crane('copy', `${host}/acme/old:v1`, `${host}/acme/copy:v1`), /MANIFEST_UNKNOWN|404/)
  })

  it('pushes to the old name again, and copies from the new one', async () => {
    await crane('copy', `${host}/acme/renamed:v1`, `${host}/acme/old:again`)
    await crane('validate', '--remote', `${host}/acme/old:again`)
    assert.deepEqual((await crane('ls', `${host}/acme/old`)).trim(), 'again')
  })

  it('finds a deleted repository nowhere, and a restored one whole', async () => {
    const before = await digest('acme/renamed:v1')
    await registry.metadata.deleteRepository(renamed)
    await assert.rejects(crane('ls', `${host}/acme/renamed`), /NAME_UNKNOWN/)
    assert.doesNotMatch(await crane('catalog', host), /renamed/)
    await registry.metadata.restoreRepository(renamed)
    assert.equal(await digest('acme/renamed:v1'), before)
    await crane('validate', '--remote', `${host}/acme/renamed:v2`)
  })
})

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { parseCloneName } from '../../../../src/importer/chain/clone-name.ts'
import { ZfsChainStore } from '../../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { buildLayer, failsWith, filesAt } from '../../../contract/chain-store/suite.ts'
import { layerOn } from '../../../support/fake-layers.ts'
import { loggedZfs } from '../../../support/logged-zfs.ts'
import { skipWithout } from '../../../support/programs.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'
import { createPool, patientOnFuse, type TestPool, zfs } from '../../../support/zfs.ts'

const run = promisify(execFile)
const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const web = parseCloneName('web')

describe('holds on the snapshots of chains', { skip: await skipWithout('zfs') }, () => {
  let pool: TestPool
  let directory: TemporaryDirectory
  let count = 0
  before(async () => {
    directory = await temporaryDirectory()
    pool = await createPool()
  })
  after(async () => {
    await pool.destroy()
    await directory.remove()
  })

  const newRoot = () => `${pool.name}/store${count++}`
  const open = (dataset: string, program = 'zfs') =>
    ZfsChainStore.open({ dataset, program, patience: patientOnFuse })
  const holds = async (snapshot: string) =>
    (await zfs('get', '-Hp', '-o', 'value', 'userrefs', snapshot)).trim()

  it('keep an operator from destroying a chain, and not Varve', async () => {
    const store = await open(newRoot())
    const first = await buildLayer(store, null, bottom, 'bottom')
    const second = await buildLayer(store, bottom, middle, 'middle')
    for (const { location } of [first, second]) {
      assert.equal(await holds(location), '1')
      await assert.rejects(
        run('zfs', ['destroy', '-r', location.slice(0, location.indexOf('@'))]),
        /busy|being held/,
      )
    }
    const clone = await store.clone(middle.chain, web)
    await assert.rejects(store.remove(middle.chain), failsWith('conflict'))
    assert.equal(await holds(second.location), '1')
    await store.destroyClone(clone.name)
    await store.remove(middle.chain)
    assert.equal(await holds(first.location), '1')
    await store.remove(bottom.chain)
  })

  it('are made up for when a builder was killed before it had them, or a removal after it had let go', async () => {
    const dataset = newRoot()
    const { location } = await buildLayer(await open(dataset), null, bottom, 'bottom')
    await zfs('release', 'varve', location)
    const store = await open(dataset)
    assert.equal(await store.reclaim(), 0)
    assert.equal(await holds(location), '1')
    await zfs('release', 'varve', location)
    await (await open(dataset)).remove(bottom.chain)
  })

  it('of somebody else are respected, and named', async () => {
    const store = await open(newRoot())
    const { location } = await buildLayer(store, null, bottom, 'bottom')
    await zfs('hold', 'backup', location)
    await assert.rejects(store.remove(bottom.chain), error => {
      failsWith('conflict')(error)
      assert.match(String(error), /zfs holds/)
      return true
    })
    await zfs('release', 'varve', location)
    await assert.rejects(store.remove(bottom.chain), failsWith('conflict'))
    assert.equal(await holds(location), '1')
    assert.deepEqual(await filesAt(store, bottom.chain), ['bottom'])
    await zfs('release', 'backup', location)
    await store.remove(bottom.chain)
  })

  it('are done without in a pool that has none', async () => {
    const without = `[ "$1" = hold ] && { echo "hold $*" >> "$0.log"; echo "cannot hold: pool must be upgraded" >&2; exit 1; }`
    const { program, taken } = await loggedZfs(directory.path, without)
    const store = await open(newRoot(), program)
    await buildLayer(store, null, bottom, 'bottom')
    await buildLayer(store, bottom, middle, 'middle')
    await store.reclaim()
    await store.remove(middle.chain)
    await store.remove(bottom.chain)
    const commands = await taken()
    assert.equal(commands.filter(command => command === 'hold').length, 1)
    assert.equal(commands.filter(command => command === 'release').length, 0)
  })
})

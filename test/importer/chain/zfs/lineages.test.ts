import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseCloneName } from '../../../../src/importer/chain/clone-name.ts'
import { formatFacts, optionArgs } from '../../../../src/importer/chain/zfs/properties.ts'
import { ZfsChainStore } from '../../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { hexOf } from '../../../../src/storage/digest.ts'
import { buildLayer, failsWith, filesIn } from '../../../contract/chain-store/suite.ts'
import { layerOn } from '../../../support/fake-layers.ts'
import { loggedZfs } from '../../../support/logged-zfs.ts'
import { skipWithout } from '../../../support/programs.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'
import { createPool, patientOnFuse, type TestPool, zfs } from '../../../support/zfs.ts'

const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const top = layerOn(middle, 'top')
const other = layerOn(bottom, 'other')
const web = parseCloneName('web')

describe('lineages and clones in a pool', { skip: await skipWithout('zfs') }, () => {
  let pool: TestPool
  let count = 0
  before(async () => {
    pool = await createPool()
  })
  after(() => pool.destroy())

  const newRoot = () => `${pool.name}/store${count++}`
  const lineageOf = (location: string) => location.slice(0, location.indexOf('@'))
  const property = async (dataset: string, name: string) =>
    (await zfs('get', '-Hp', '-o', 'value', name, dataset)).trim()

  it('goes on in the lineage that ends at the base, and branches elsewhere', async () => {
    const store = await ZfsChainStore.open({ dataset: newRoot() })
    const first = lineageOf((await buildLayer(store, null, bottom, 'bottom')).location)
    assert.equal(lineageOf((await buildLayer(store, bottom, middle, 'middle')).location), first)
    assert.equal(lineageOf((await buildLayer(store, middle, top, 'top')).location), first)
    const branch = lineageOf((await buildLayer(store, bottom, other, 'other')).location)
    assert.notEqual(branch, first)
    assert.match(await property(branch, 'origin'), new RegExp(`^${first}@`))
  })

  it('keeps lineages unmounted when nobody builds, and never lets them run anything', async () => {
    const store = await ZfsChainStore.open({ dataset: newRoot() })
    const lineage = lineageOf((await buildLayer(store, null, bottom, 'bottom')).location)
    assert.equal(await property(lineage, 'mounted'), 'no')
    assert.equal(await property(lineage, 'canmount'), 'noauto')
    for (const name of ['devices', 'setuid', 'exec', 'atime'])
      assert.equal(await property(lineage, name), 'off')
  })

  it('gives a clone its quota and its rights', async () => {
    const store = await ZfsChainStore.open({ dataset: newRoot() })
    await buildLayer(store, null, bottom, 'bottom')
    const clone = await store.clone(bottom.chain, web, { quota: 64 * 1024 * 1024 })
    assert.equal(await property(clone.dataset, 'quota'), String(64 * 1024 * 1024))
    assert.equal(await property(clone.dataset, 'devices'), 'off')
    assert.equal(await property(clone.dataset, 'setuid'), 'on')
    assert.equal(await property(clone.dataset, 'exec'), 'on')
  })

  it('mounts a clone that is not mounted', async () => {
    const store = await ZfsChainStore.open({ dataset: newRoot() })
    await buildLayer(store, null, bottom, 'bottom')
    const clone = await store.clone(bottom.chain, web)
    await zfs('unmount', clone.dataset)
    assert.deepEqual(await store.clone(bottom.chain, web), clone)
    assert.deepEqual(await filesIn(clone.rootfs), ['bottom'])
  })

  it('looks again when another process has moved a chain', async () => {
    const dataset = newRoot()
    const store = await ZfsChainStore.open({ dataset })
    await buildLayer(store, null, bottom, 'bottom')
    const another = await ZfsChainStore.open({ dataset })
    await another.remove(bottom.chain)
    const moved = await buildLayer(another, null, bottom, 'bottom')
    assert.equal((await store.clone(bottom.chain, web)).origin, moved.location)
    await another.destroyClone(web)
    await another.remove(bottom.chain)
    await assert.rejects(store.clone(bottom.chain, web), failsWith('not_found'))
    await assert.rejects(store.extend(bottom.chain), failsWith('not_found'))
  })

  it('branches when another process has gone on in the lineage', async () => {
    const dataset = newRoot()
    const store = await ZfsChainStore.open({ dataset })
    const first = await buildLayer(store, null, bottom, 'bottom')
    await buildLayer(await ZfsChainStore.open({ dataset }), bottom, middle, 'middle')
    const branch = await buildLayer(store, bottom, other, 'other')
    assert.notEqual(lineageOf(branch.location), lineageOf(first.location))
  })

  it('gives no name to anything that the snapshot command of a killed builder would take too late', async () => {
    const dataset = newRoot()
    const store = await ZfsChainStore.open({ dataset })
    const { location } = await buildLayer(store, null, bottom, 'bottom')
    const lineage = lineageOf(location)
    // As a builder leaves it that was killed after it had asked for the snapshot of its next layer.
    await zfs('set', 'varve:unfinished=host:1', lineage)
    const facts = optionArgs(formatFacts(middle.chain, middle.facts))
    const late = ['snapshot', ...facts, `${lineage}@${hexOf(middle.chain)}`]
    const again = await ZfsChainStore.open({ dataset })
    assert.equal(await again.reclaim(), 1)
    await assert.rejects(zfs(...late), /does not exist/)
    assert.equal(await again.find(middle.chain), undefined)
    assert.equal((await buildLayer(again, bottom, middle, 'middle')).chain, middle.chain)
    await assert.rejects(zfs(...late), /does not exist/)
    assert.deepEqual(await filesIn((await again.clone(middle.chain, web)).rootfs), ['bottom', 'middle'])
  })

  it('has renamed what was said to be busy when it had its new name', async () => {
    await using directory = await temporaryDirectory()
    const dataset = newRoot()
    const { location } = await buildLayer(await ZfsChainStore.open({ dataset }), null, bottom, 'bottom')
    const lineage = lineageOf(location)
    await zfs('set', 'varve:unfinished=host:1', lineage)
    const { program, taken } = await loggedZfs(
      directory.path,
      'if [ "$1" = rename ] && zfs "$@"; then echo "cannot mount: dataset is busy" >&2; exit 1; fi',
    )
    const store = await ZfsChainStore.open({ dataset, program, patience: patientOnFuse })
    await taken()
    assert.equal(await store.reclaim(), 1)
    assert.ok((await taken()).includes('rename'), 'nothing was renamed')
    const moved = await store.find(bottom.chain)
    assert.notEqual(lineageOf(moved?.location ?? ''), lineage)
    assert.equal((await store.clone(bottom.chain, web)).origin, moved?.location)
  })

  it('says that a clone is in use', async () => {
    const store = await ZfsChainStore.open({ dataset: newRoot(), patience: [10, 10] })
    await buildLayer(store, null, bottom, 'bottom')
    const { rootfs } = await store.clone(bottom.chain, web)
    await mkdir(join(rootfs, 'work'))
    const user = spawn('sleep', ['600'], { cwd: join(rootfs, 'work'), stdio: 'ignore' })
    await once(user, 'spawn')
    const ended = once(user, 'exit')
    try {
      await assert.rejects(store.destroyClone(web), failsWith('busy'))
    } finally {
      user.kill('SIGKILL')
      await ended
    }
    assert.equal((await store.clones()).length, 1)
  })
})

import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseCloneName } from '../../../../src/importer/chain/clone-name.ts'
import { ZfsChainStore } from '../../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { buildLayer, failsWith, filesAt, walked } from '../../../contract/chain-store/suite.ts'
import { layerOn } from '../../../support/fake-layers.ts'
import { skipWithout } from '../../../support/programs.ts'
import { createPool, type TestPool, zfs } from '../../../support/zfs.ts'

const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const web = parseCloneName('web')

describe('what is not ours in a pool', { skip: await skipWithout('zfs', 'setpriv') }, () => {
  let pool: TestPool
  let count = 0
  before(async () => {
    pool = await createPool()
  })
  after(() => pool.destroy())

  /** A name for a store of its own in the common pool. */
  const newRoot = () => `${pool.name}/store${count++}`
  const lineageOf = (location: string) => location.slice(0, location.indexOf('@'))

  it('refuses a pool that does not exist, and says how to get one', async () => {
    await assert.rejects(ZfsChainStore.open({ dataset: `${pool.name}no` }), error => {
      failsWith('not_found')(error)
      assert.match(String(error), /no pool.*zpool/)
      return true
    })
  })

  it('refuses a dataset without our mark, and touches nothing', async () => {
    const dataset = newRoot()
    await zfs('create', dataset)
    await zfs('create', '-o', 'varve:role=lineage', `${dataset}/chains`)
    const before = await zfs('get', '-Hr', '-o', 'name,property,value', 'type,canmount,atime', dataset)
    await assert.rejects(ZfsChainStore.open({ dataset }), failsWith('conflict'))
    assert.equal(await zfs('get', '-Hr', '-o', 'name,property,value', 'type,canmount,atime', dataset), before)
    // A mark that is inherited is not a mark.
    const below = `${dataset}/below`
    await zfs('set', 'varve:role=root', dataset)
    await zfs('create', below)
    await assert.rejects(ZfsChainStore.open({ dataset: below }), failsWith('conflict'))
  })

  it('completes a tree that a crash left half-made', async () => {
    const dataset = newRoot()
    await ZfsChainStore.open({ dataset })
    await zfs('destroy', `${dataset}/clones`)
    const store = await ZfsChainStore.open({ dataset })
    assert.deepEqual(await store.clones(), [])
  })

  it('leaves snapshots of others, and what they cover, as they are', async () => {
    const dataset = newRoot()
    const store = await ZfsChainStore.open({ dataset })
    const { location } = await buildLayer(store, null, bottom, 'bottom')
    const daily = `${lineageOf(location)}@daily`
    await zfs('snapshot', daily)
    const again = await ZfsChainStore.open({ dataset })
    const { location: other } = await buildLayer(again, bottom, middle, 'middle')
    assert.notEqual(lineageOf(other), lineageOf(location))
    {
      await using builder = await again.extend(null)
      await zfs('snapshot', `${(await currentLineages(dataset)).at(-1) ?? ''}@hourly`)
      await writeFile(join(builder.rootfs, 'lost'), '')
    }
    assert.equal((await walked(again)).snapshots.length, 2)
    await again.reclaim()
    const snapshots = await zfs('list', '-H', '-r', '-t', 'snapshot', '-o', 'name', dataset)
    assert.ok(snapshots.includes(daily))
    assert.deepEqual(await filesAt(again, bottom.chain), ['bottom'])
  })

  it('takes no other dataset for a clone, and destroys none', async () => {
    const dataset = newRoot()
    const store = await ZfsChainStore.open({ dataset })
    await buildLayer(store, null, bottom, 'bottom')
    await zfs('create', `${dataset}/clones/web`)
    await assert.rejects(store.clone(bottom.chain, web), failsWith('conflict'))
    await assert.rejects(store.destroyClone(web), failsWith('not_found'))
    assert.deepEqual(await store.clones(), [])
    assert.match(await zfs('list', '-H', '-o', 'name', `${dataset}/clones/web`), /web/)
  })

  it('keeps a clone whose tenant took snapshots', async () => {
    const dataset = newRoot()
    const store = await ZfsChainStore.open({ dataset })
    await buildLayer(store, null, bottom, 'bottom')
    const clone = await store.clone(bottom.chain, web)
    await zfs('snapshot', `${clone.dataset}@mine`)
    await assert.rejects(store.destroyClone(web), failsWith('conflict'))
    await zfs('destroy', `${clone.dataset}@mine`)
    await store.destroyClone(web)
  })

  it('needs root', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'varve-test-nobody-'))
    try {
      await chmod(directory, 0o755)
      const program = join(directory, 'zfs')
      await writeFile(program, '#!/bin/sh\nexec setpriv --reuid=65534 --clear-groups zfs "$@"\n')
      await chmod(program, 0o755)
      await assert.rejects(ZfsChainStore.open({ dataset: newRoot(), program }), failsWith('denied'))
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

  async function currentLineages(dataset: string): Promise<string[]> {
    const names = await zfs('list', '-H', '-r', '-t', 'filesystem', '-o', 'name', '-s', 'creation', dataset)
    return names.split('\n').filter(name => name.startsWith(`${dataset}/chains/`))
  }
})

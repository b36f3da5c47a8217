import assert from 'node:assert/strict'
import { mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { CloneOptions } from '../../../../src/importer/chain/chain-store.ts'
import { parseCloneName } from '../../../../src/importer/chain/clone-name.ts'
import { ZfsChainStore } from '../../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { buildLayer, failsWith, filesIn } from '../../../contract/chain-store/suite.ts'
import { layerOn } from '../../../support/fake-layers.ts'
import { loggedZfs } from '../../../support/logged-zfs.ts'
import { skipWithout } from '../../../support/programs.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'
import { createPool, isZfsInKernel, patientOnFuse, type TestPool, zfs } from '../../../support/zfs.ts'

const bottom = layerOn(null, 'bottom')

describe('clones as they are asked for', { skip: await skipWithout('zfs') }, () => {
  let pool: TestPool
  let directory: TemporaryDirectory
  let store: ZfsChainStore
  let count = 0
  before(async () => {
    directory = await temporaryDirectory()
    pool = await createPool()
    store = await ZfsChainStore.open({ dataset: pool.name, patience: patientOnFuse })
    await buildLayer(store, null, bottom, 'bottom')
  })
  after(async () => {
    for (const { name } of await store.clones()) await store.destroyClone(name)
    await pool.destroy()
    await directory.remove()
  })

  const newName = () => parseCloneName(`clone${count++}`)
  const clone = (name = newName(), options: CloneOptions = {}) => store.clone(bottom.chain, name, options)
  const property = async (dataset: string, name: string) =>
    (await zfs('get', '-Hp', '-o', 'value', name, dataset)).trim()

  it('have the properties, and never devices', async () => {
    const properties = {
      refquota: '64M',
      recordsize: '16K',
      atime: 'on',
      setuid: 'off',
      exec: 'off',
      'com.example:owner': 'me',
    }
    const name = newName()
    const { dataset } = await clone(name, { properties, quota: 2 ** 27 })
    const wanted = {
      ...properties,
      refquota: '67108864',
      recordsize: '16384',
      quota: '134217728',
      devices: 'off',
    }
    for (const [one, value] of Object.entries(wanted)) assert.equal(await property(dataset, one), value, one)
    assert.equal((await clone(name, { properties, quota: 2 ** 27 })).quota, 2 ** 27)
  })

  it('are the same with the same options or none, and a conflict with others', async () => {
    const name = newName()
    const made = await clone(name, { quota: 2 ** 27, properties: { atime: 'on' } })
    for (const options of [{}, { quota: 2 ** 27 }, { properties: { atime: 'on', quota: '128M' } }])
      assert.deepEqual(await clone(name, options), made)
    for (const options of [
      { quota: 2 ** 28 },
      { properties: { atime: 'off' } },
      { properties: { 'a:b': 'c' } },
      { mountpoint: join(directory.path, 'elsewhere') },
    ])
      await assert.rejects(clone(name, options), failsWith('conflict'), JSON.stringify(options))
    assert.equal(await property(made.dataset, 'quota'), String(2 ** 27))
  })

  it('are mounted where they are asked for, and only where that hides nothing', async () => {
    const mountpoint = join(directory.path, 'zones/web')
    const name = newName()
    const made = await clone(name, { mountpoint })
    assert.deepEqual([made.mountpoint, made.rootfs], [mountpoint, join(mountpoint, 'root')])
    assert.deepEqual(await filesIn(made.rootfs), ['bottom'])
    assert.deepEqual(await clone(name, { mountpoint }), made)
    assert.deepEqual(await clone(name), made)
    assert.deepEqual(await store.findClone(name), made)

    await mkdir(join(directory.path, 'full/x'), { recursive: true })
    await symlink(directory.path, join(directory.path, 'link'))
    for (const taken of ['full', 'link', 'link/below', 'zones/web'])
      await assert.rejects(
        clone(newName(), { mountpoint: join(directory.path, taken) }),
        failsWith('conflict'),
      )
    for (const bad of [
      'relative',
      `${mountpoint}/`,
      pool.mountpoint,
      join(pool.mountpoint, 'varve/clones/x'),
    ])
      await assert.rejects(clone(newName(), { mountpoint: bad }), failsWith('invalid'))
    const before = (await store.clones()).length
    await store.destroyClone(name)
    assert.equal((await store.clones()).length, before - 1)
    await assert.rejects(stat(made.rootfs))
  })

  it('are not left behind when they cannot be mounted', async () => {
    const mountpoint = join(directory.path, 'raced')
    // What zfs-fuse mounts over a file, nobody can look at.
    const taken = [`mkdir -p ${mountpoint}/x`, ...(isZfsInKernel ? [`: > ${mountpoint}`] : [])]
    for (const spoil of taken) {
      const { program } = await loggedZfs(directory.path, `[ "$1" = clone ] && ${spoil}`)
      const other = await ZfsChainStore.open({ dataset: pool.name, program, patience: patientOnFuse })
      const name = newName()
      await assert.rejects(other.clone(bottom.chain, name, { mountpoint }), failsWith('conflict'))
      assert.equal(await store.findClone(name), undefined)
      await rm(mountpoint, { recursive: true })
    }
  })

  it('fail with what this ZFS does not know, and leave nothing', async () => {
    const name = newName()
    const compressed = clone(name, { properties: { compression: 'zstd' } })
    // OpenZFS has it since 2.0.
    if (isZfsInKernel) {
      await compressed
      await store.destroyClone(name)
    } else await assert.rejects(compressed, failsWith('invalid'))
    await assert.rejects(clone(name, { properties: { devices: 'on' } }), failsWith('invalid'))
    assert.equal(await store.findClone(name), undefined)
  })

  it('are found again where their parent has been moved to', async () => {
    const parent = `${pool.name}/varve/clones`
    const moved = join(directory.path, 'moved')
    await zfs('set', `mountpoint=${moved}`, parent)
    try {
      const name = newName()
      const made = await clone(name)
      assert.equal(made.mountpoint, join(moved, name))
      assert.deepEqual(await clone(name), made)
      await writeFile(join(made.rootfs, 'mine'), '')
    } finally {
      await zfs('inherit', 'mountpoint', parent)
    }
  })
})

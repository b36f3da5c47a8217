import assert from 'node:assert/strict'
import { chmod, chown, lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { ChainSnapshot } from '../../../src/importer/chain/chain-store.ts'
import { ZfsChainStore } from '../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { parseImageUuid } from '../../../src/importer/smartos/image-uuid.ts'
import { buildLayer, failsWith, filesAt } from '../../contract/chain-store/suite.ts'
import { layerOn } from '../../support/fake-layers.ts'
import { skipWithout } from '../../support/programs.ts'
import { imageToPublish } from '../../support/publications.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { createPool, patientOnFuse, type TestPool, zfs } from '../../support/zfs.ts'

const zone = 'f0e1d2c3-0000-4000-8000-0123456789ab'

describe('images published to SmartOS', { skip: await skipWithout('zfs') }, () => {
  let pool: TestPool
  let imgadm: TemporaryDirectory
  let count = 0
  before(async () => {
    pool = await createPool()
    imgadm = await temporaryDirectory()
  })
  after(async () => {
    await pool.destroy()
    await imgadm.remove()
  })

  interface Published {
    readonly dataset: string
    readonly store: ZfsChainStore
    readonly bottom: ChainSnapshot
    readonly top: ChainSnapshot
  }

  const open = (dataset: string) =>
    ZfsChainStore.open({ dataset, imgadmDirectory: imgadm.path, patience: patientOnFuse })

  /** A store of its own, with a chain of two layers that no other test has. */
  async function newStore(): Promise<Published> {
    const dataset = `${pool.name}/store${count++}`
    const store = await open(dataset)
    const lower = layerOn(null, `lower ${dataset}`)
    const upper = layerOn(lower, `upper ${dataset}`)
    const bottom = await buildLayer(store, null, lower, 'bottom')
    await using builder = await store.extend(lower.chain)
    const { rootfs } = builder
    await mkdir(join(rootfs, 'tmp'))
    await chmod(join(rootfs, 'tmp'), 0o1777)
    await writeFile(join(rootfs, 'su'), '#!/bin/sh\nexit 42\n')
    await chown(join(rootfs, 'su'), 0, 5)
    await chmod(join(rootfs, 'su'), 0o4750)
    const top = await builder.commit(upper.chain, upper.facts)
    return { dataset, store, bottom, top }
  }

  async function property(name: string, dataset: string): Promise<string> {
    return (await zfs('get', '-Hp', '-o', 'value', name, dataset)).trim()
  }

  async function below(dataset: string): Promise<string[]> {
    const names = await zfs('list', '-H', '-r', '-t', 'filesystem,snapshot', '-o', 'name', dataset)
    return names.trim().split('\n').toSorted()
  }

  /** Datasets that are the pool's own children, and no stores. */
  async function besideStores(): Promise<string[]> {
    const names = await zfs('list', '-H', '-d', '1', '-r', '-t', 'filesystem', '-o', 'name', pool.name)
    return names.split('\n').filter(name => name.includes('/') && !name.includes('/store'))
  }

  const recordOf = (uuid: string) => join(imgadm.path, 'images', `${pool.name}-${uuid}.json`)
  const exists = (path: string) =>
    lstat(path).then(
      () => true,
      () => false,
    )

  it('are what vmadm clones a zone from: files, owners and modes under root/', async () => {
    const { store, bottom, top } = await newStore()
    const image = imageToPublish(bottom, top)
    const published = await store.publisher.publish(image)
    assert.deepEqual(published, {
      uuid: image.uuid,
      dataset: `${pool.name}/${image.uuid}`,
      snapshot: `${pool.name}/${image.uuid}@final`,
      chain: top.chain,
    })
    assert.deepEqual(await below(published.dataset), [published.dataset, published.snapshot])
    assert.equal(await property('origin', published.dataset), top.location)

    const dataset = `${pool.name}/${zone}`
    await zfs('clone', '-o', 'quota=64m', '-o', 'devices=off', published.snapshot, dataset)
    const zonepath = await property('mountpoint', dataset)
    assert.equal(zonepath, join(pool.mountpoint, zone))
    const [directory, temporary, program] = await Promise.all(
      ['', 'root/tmp', 'root/su'].map(name => lstat(join(zonepath, name))),
    )
    assert.equal((directory?.mode ?? 0) & 0o7777, 0o700)
    assert.equal((temporary?.mode ?? 0) & 0o7777, 0o1777)
    assert.deepEqual([program?.uid, program?.gid, (program?.mode ?? 0) & 0o7777], [0, 5, 0o4750])
    assert.equal(await readFile(join(zonepath, 'root/bottom'), 'utf8'), 'bottom')
    // What the publication is closed to, its zones are not.
    for (const name of ['setuid', 'exec']) assert.equal(await property(name, dataset), 'on')
    assert.equal(await property('readonly', dataset), 'off')
    await writeFile(join(zonepath, 'root/new'), 'new')

    await assert.rejects(store.publisher.unpublish(image.uuid), error => {
      failsWith('conflict')(error)
      return String(error).includes(dataset)
    })
    assert.deepEqual(await below(published.dataset), [published.dataset, published.snapshot])
    assert.ok(await exists(recordOf(image.uuid)))
    await zfs('destroy', dataset)
    await store.publisher.unpublish(image.uuid)
    assert.deepEqual(await besideStores(), [])
    assert.equal(await exists(recordOf(image.uuid)), false)
    await assert.rejects(store.publisher.unpublish(image.uuid), failsWith('not_found'))
  })

  it('are never mounted on the host, and nothing in them could run there', async () => {
    const { store, top } = await newStore()
    const { dataset } = await store.publisher.publish(imageToPublish(top))
    assert.equal(await property('mounted', dataset), 'no')
    assert.equal(await property('canmount', dataset), 'off')
    for (const name of ['devices', 'setuid', 'exec']) assert.equal(await property(name, dataset), 'off')
    await store.publisher.unpublish(imageToPublish(top).uuid)
  })

  it('change nothing of the pool itself', async () => {
    const properties = 'mountpoint,canmount,devices,setuid,exec,readonly,varve:role'
    const asked = ['get', '-Hp', '-o', 'property,value,source', properties, pool.name]
    const before = await zfs(...asked)
    const { store, top } = await newStore()
    await store.publisher.publish(imageToPublish(top))
    assert.equal(await zfs(...asked), before)
    await store.publisher.unpublish(imageToPublish(top).uuid)
    assert.equal(await zfs(...asked), before)
  })

  it('are recorded for imgadm, and the record is made again where it is gone or spoilt', async () => {
    const { store, top } = await newStore()
    const image = imageToPublish(top)
    await store.publisher.publish(image)
    const path = recordOf(image.uuid)
    const text = await readFile(path, 'utf8')
    assert.deepEqual(JSON.parse(text), { manifest: image.manifest, zpool: pool.name })
    for (const spoil of [() => rm(path), () => writeFile(path, text.slice(0, 20))]) {
      await spoil()
      await store.publisher.publish(image)
      assert.equal(await readFile(path, 'utf8'), text)
    }
    await store.publisher.unpublish(image.uuid)
  })

  it('are listed by the store that published them, and by no other', async () => {
    const { store, dataset, bottom, top } = await newStore()
    const other = await newStore()
    const images = [imageToPublish(bottom), imageToPublish(bottom, top)]
    const published = []
    for (const image of images) published.push(await store.publisher.publish(image))
    const sorted = published.toSorted((left, right) => (left.uuid < right.uuid ? -1 : 1))
    assert.deepEqual(await store.publisher.list(), sorted)
    assert.deepEqual(await (await open(dataset)).publisher.list(), sorted)
    assert.deepEqual(await other.store.publisher.list(), [])
    const [first] = images
    assert.ok(first)
    await assert.rejects(other.store.publisher.publish({ ...first, snapshot: other.top }), error => {
      failsWith('conflict')(error)
      return String(error).includes(dataset)
    })
    await assert.rejects(other.store.publisher.unpublish(first.uuid), failsWith('not_found'))
    for (const { uuid } of images) await store.publisher.unpublish(uuid)
  })

  it('keep their record while another store of the pool is about to rename them', async () => {
    const [{ store, top }, other] = [await newStore(), await newStore()]
    const image = imageToPublish(top)
    const { dataset } = await store.publisher.publish(image)
    await zfs('rename', dataset, `${dataset}-partial`)
    await other.store.reclaim()
    assert.ok(await exists(recordOf(image.uuid)))
    assert.equal(await store.reclaim(), 1)
    assert.equal(await exists(recordOf(image.uuid)), false)
    assert.deepEqual(await besideStores(), [])
  })

  it('are made once by several stores over one pool at the same time', async () => {
    const { store, dataset, top } = await newStore()
    const stores = [store, await open(dataset), await open(dataset)]
    const image = imageToPublish(top)
    const answers = await Promise.all([...stores, ...stores].map(one => one.publisher.publish(image)))
    for (const answer of answers) assert.deepEqual(answer, answers[0])
    const outcomes = await Promise.allSettled(stores.map(one => one.publisher.unpublish(image.uuid)))
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.deepEqual(await besideStores(), [])
  })

  it('keep their chain: it is removed only when they are gone', async () => {
    const { store, bottom, top } = await newStore()
    const image = imageToPublish(bottom, top)
    const { dataset } = await store.publisher.publish(image)
    await assert.rejects(store.remove(top.chain), error => {
      failsWith('conflict')(error)
      return String(error).includes(`published as ${dataset}`)
    })
    assert.deepEqual(await filesAt(store, top.chain), ['bottom', 'su', 'tmp'])
    await store.publisher.unpublish(image.uuid)
    await store.remove(top.chain)
    await assert.rejects(store.publisher.publish(image), failsWith('not_found'))
    assert.deepEqual(await besideStores(), [])
    assert.equal(await exists(recordOf(image.uuid)), false)
  })

  it("leave imgadm's own image alone, and say that it is there", async () => {
    const { store, top } = await newStore()
    const { uuid, ...image } = imageToPublish(top)
    const dataset = `${pool.name}/${uuid}`
    await zfs('create', dataset)
    await assert.rejects(store.publisher.publish({ uuid, ...image }), /will not be touched/)
    await zfs('snapshot', `${dataset}@final`)
    await assert.rejects(store.publisher.publish({ uuid, ...image }), /imgadm has installed the image itself/)
    await assert.rejects(store.publisher.unpublish(uuid), failsWith('not_found'))
    assert.deepEqual(await store.publisher.list(), [])
    // A mark that is inherited is none.
    await zfs('set', 'varve:role=publication', pool.name)
    await assert.rejects(store.publisher.publish({ uuid, ...image }), failsWith('conflict'))
    await zfs('inherit', 'varve:role', pool.name)
    await store.reclaim()
    assert.deepEqual(await below(dataset), [dataset, `${dataset}@final`])
    await zfs('destroy', '-r', dataset)

    await zfs('create', `${dataset}-partial`)
    await assert.rejects(store.publisher.publish({ uuid, ...image }), failsWith('conflict'))
    await store.reclaim()
    assert.deepEqual(await besideStores(), [`${dataset}-partial`])
    await zfs('destroy', `${dataset}-partial`)
  })

  it('stay while somebody else has a snapshot of them, as brands take for each zone', async () => {
    const { store, top } = await newStore()
    const { uuid } = await store.publisher.publish(imageToPublish(top))
    const taken = `${pool.name}/${uuid}@${zone}`
    await zfs('snapshot', taken)
    await assert.rejects(store.publisher.unpublish(uuid), error => {
      failsWith('conflict')(error)
      return String(error).includes(taken)
    })
    // As an unpublishing leaves it that was killed after its first step, when a zone was made just then.
    await zfs('destroy', `${pool.name}/${uuid}@final`)
    assert.equal(await store.reclaim(), 1)
    assert.deepEqual(
      await below(`${pool.name}/${uuid}`),
      [`${pool.name}/${uuid}`, taken, `${pool.name}/${uuid}@final`].toSorted(),
    )
    await zfs('destroy', taken)
    await store.publisher.unpublish(uuid)
    assert.deepEqual(await besideStores(), [])
  })

  it('end when the caller gives up, and leave nothing', async () => {
    const { store, top } = await newStore()
    const image = imageToPublish(top)
    await assert.rejects(store.publisher.publish(image, { signal: AbortSignal.abort() }), {
      name: 'AbortError',
    })
    await assert.rejects(store.publisher.unpublish(image.uuid, { signal: AbortSignal.abort() }), {
      name: 'AbortError',
    })
    assert.deepEqual(await besideStores(), [])
    assert.throws(() => parseImageUuid('../x'), failsWith('invalid'))
  })
})

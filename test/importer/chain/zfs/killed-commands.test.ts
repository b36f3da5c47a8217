import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isDomainError } from '../../../../src/errors.ts'
import { parseCloneName } from '../../../../src/importer/chain/clone-name.ts'
import { ZfsChainStore } from '../../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { buildLayer, failsWith, filesAt, walked } from '../../../contract/chain-store/suite.ts'
import { type FakeLayer, layerOn } from '../../../support/fake-layers.ts'
import { type KilledWhen, type KilledZfs, killedZfs } from '../../../support/killed-zfs.ts'
import { skipWithout } from '../../../support/programs.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'
import { createPool, patientOnFuse, type TestPool } from '../../../support/zfs.ts'

const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const top = layerOn(middle, 'top')
const branch = layerOn(bottom, 'branch')
const longer = layerOn(top, 'longer')
const other = layerOn(middle, 'other')
const web = parseCloneName('web')

/** What the tree of each chain holds, whatever was killed. */
const contents = new Map([
  [bottom.chain, ['bottom']],
  [middle.chain, ['bottom', 'middle']],
  [top.chain, ['bottom', 'middle', 'top']],
  [branch.chain, ['bottom', 'branch']],
  [longer.chain, ['bottom', 'longer', 'middle', 'top']],
  [other.chain, ['bottom', 'middle', 'other']],
])

/** `make crash-matrix`: it takes some five minutes, and the other tests of it kill the process that asked instead. */
const isWhole = process.env['VARVE_CRASH_MATRIX'] === 'write'

interface Operation {
  readonly prepare?: (store: ZfsChainStore) => Promise<unknown>
  readonly run: (store: ZfsChainStore) => Promise<unknown>
}

const operations: Readonly<Record<string, Operation>> = {
  'a build on the newest layer': { run: store => buildLayer(store, top, longer, 'longer') },
  'a build on an older layer': { run: store => buildLayer(store, bottom, branch, 'branch') },
  'a removal of the newest layer': { run: store => store.remove(top.chain) },
  'a removal of a branch': {
    prepare: store => buildLayer(store, bottom, branch, 'branch'),
    run: store => store.remove(branch.chain),
  },
  'a clone': { run: store => store.clone(top.chain, web) },
}

const bases: readonly (readonly [FakeLayer | null, FakeLayer, string])[] = [
  [null, bottom, 'bottom'],
  [bottom, middle, 'middle'],
  [middle, top, 'top'],
]

describe('zfs commands that are killed while their process lives', { skip: await skipWithout('zfs') }, () => {
  let pool: TestPool
  let directory: TemporaryDirectory
  let zfs: KilledZfs
  before(async () => {
    directory = await temporaryDirectory()
    zfs = await killedZfs(directory.path)
    pool = await createPool()
  })
  after(async () => {
    await pool.destroy()
    await directory.remove()
  })

  const open = () => ZfsChainStore.open({ dataset: pool.name, program: zfs.program, patience: patientOnFuse })

  async function checkContents(store: ZfsChainStore, where: string): Promise<void> {
    for (const { chain } of (await walked(store)).snapshots)
      assert.deepEqual(await filesAt(store, chain), contents.get(chain), where)
  }

  /** Answers whether there was such a command. */
  async function killNth(nth: number, when: KilledWhen, { prepare, run }: Operation): Promise<boolean> {
    const store = await open()
    for (const [below, layer, file] of bases)
      if ((await store.find(layer.chain)) === undefined) await buildLayer(store, below, layer, file)
    await prepare?.(store)
    await zfs.arm(nth, when)
    const failure = await run(store).then(
      () => undefined,
      (error: unknown) => error,
    )
    const killed = await zfs.disarm()
    const where = `zfs ${killed}, command ${nth}, killed ${when} it worked`
    assert.ok(failure === undefined || isDomainError(failure), `${where}: ${String(failure)}`)
    await checkContents(store, `${where}: the same process`)
    await buildLayer(store, middle, other, 'other').catch((error: unknown) => {
      if (!isDomainError(error)) throw error
    })
    const next = await open()
    await next.reclaim()
    await checkContents(next, `${where}: the next process`)
    await empty(next)
    return killed !== undefined
  }

  async function empty(store: ZfsChainStore): Promise<void> {
    for (const { name } of await store.clones()) await store.destroyClone(name)
    for (const { chain } of [longer, other, top, middle, branch, bottom])
      if ((await store.find(chain)) !== undefined) await store.remove(chain)
    assert.deepEqual(await walked(store), { snapshots: [], unfinished: [] })
  }

  it('killed-destroy: what a removal has destroyed is in no later chain', async () => {
    const store = await open()
    await buildLayer(store, null, bottom, 'bottom')
    await buildLayer(store, bottom, middle, 'middle')
    await zfs.arm(1, 'after', 'destroy')
    await assert.rejects(store.remove(middle.chain), failsWith('unavailable'))
    assert.equal(await zfs.disarm(), 'destroy')
    const next = await open()
    assert.equal(await next.reclaim(), 1)
    await buildLayer(next, bottom, branch, 'branch')
    await checkContents(next, 'a chain that was built where the other was removed')
    await empty(next)
  })

  it('pinned: what a failed build left behind in a living process keeps nothing from being removed', async () => {
    const store = await open()
    await buildLayer(store, null, bottom, 'bottom')
    await buildLayer(store, bottom, middle, 'middle')
    await zfs.arm(1, 'after', 'clone')
    await assert.rejects(buildLayer(store, bottom, branch, 'branch'), failsWith('unavailable'))
    assert.equal(await zfs.disarm(), 'clone')
    await store.remove(middle.chain)
    await store.remove(bottom.chain)
    assert.deepEqual(await walked(store), { snapshots: [], unfinished: [] })
  })

  for (const [what, operation] of isWhole ? Object.entries(operations) : [])
    for (const when of ['before', 'after'] as const)
      it(`${what}: each in turn, ${when} it has worked`, async () => {
        let nth = 1
        while (await killNth(nth, when, operation)) nth += 1
        assert.ok(nth > 1)
      })
})

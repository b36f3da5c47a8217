import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { ChainStore, LineageSnapshot } from '../../../src/importer/chain/chain-store.ts'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../../../src/importer/chain/directory/directory-chain-store.ts'
import { lineagesOf } from '../../../src/importer/chain/directory/directory-lineages.ts'
import { ZfsChainStore } from '../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { describeLineages } from '../../../src/importer/history/history.ts'
import type { LineageHistory } from '../../../src/importer/import-service.ts'
import { buildLayer } from '../../contract/chain-store/suite.ts'
import { type FakeLayer, layerOn } from '../../support/fake-layers.ts'
import { imageRecord } from '../../support/image-records.ts'
import { importerOver } from '../../support/importer-over.ts'
import { DirectoryImageCatalog } from '../../../src/importer/images/directory-image-catalog.ts'
import { skipWithout } from '../../support/programs.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { createPool, patientOnFuse } from '../../support/zfs.ts'

const bottom = layerOn(null, 'bottom')
const top = layerOn(bottom, 'top')
const side = layerOn(bottom, 'side')

const withoutCoreutils = await skipWithout('cp', 'sync')
const withoutZfs = await skipWithout('zfs')

describe('history', () => {
  it('is told of directories', { skip: withoutCoreutils }, async () => {
    await using directory = await temporaryDirectory()
    await checkHistory(await DirectoryChainStore.open({ directory: join(directory.path, 'chains') }))
  })

  it('is told of a pool', { skip: withoutZfs }, async () => {
    const pool = await createPool()
    try {
      await checkHistory(await ZfsChainStore.open({ dataset: pool.name, patience: patientOnFuse }))
    } finally {
      await pool.destroy()
    }
  })

  it('tells a lineage before those that branch off it, though they began in the same second', () => {
    const trunk = { dataset: 'b', unfinished: false, snapshots: [snapshotOf(bottom, 7, 'b@1')] }
    const branch = {
      dataset: 'a',
      origin: 'b@1',
      unfinished: false,
      snapshots: [snapshotOf(side, 7, 'a@2')],
    }
    const told = describeLineages([branch, trunk], { images: [], clones: [], published: [] })
    assert.deepEqual(
      told.map(({ dataset }) => dataset),
      ['b', 'a'],
    )
  })

  it('names images without a name by their digest, and tells a clone with the copy that it was made from', () => {
    const { manifestDigest, ...record } = imageRecord('x/bottom:1', [bottom])
    const nameless = { ...record, manifestDigest, names: [] }
    const copies = ['b', 'a'].map((dataset, second) => ({
      dataset,
      unfinished: false,
      snapshots: [snapshotOf(bottom, second, `${dataset}@1`)],
    }))
    const clones = [{ name: parseCloneName('web'), origin: 'a@1' }]
    const published = [{ dataset: 'tank/uuid', chain: bottom.chain }]
    const empty = { dataset: '0', unfinished: true, snapshots: [] }
    const lineages = describeLineages([empty, ...copies], { images: [nameless], clones, published })
    assert.deepEqual(
      lineages.map(({ dataset, snapshots }) => [
        dataset,
        ...snapshots.map(one => [one.images, one.clones, one.published]),
      ]),
      [
        ['b', [[manifestDigest], [], ['tank/uuid']]],
        ['a', [[manifestDigest], ['web'], ['tank/uuid']]],
        ['0'],
      ],
    )
  })
})

describe('lineagesOf', () => {
  it('puts every link of any forest into one lineage, on top of its parent', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ below: fc.nat(), second: fc.nat(5), isGone: fc.boolean() })),
        links => {
          const layers: FakeLayer[] = []
          const snapshots: LineageSnapshot[] = []
          for (const [index, { below, second, isGone }] of links.entries()) {
            const layer = layerOn(layers[below % (layers.length + 1)] ?? null, `layer ${index}`)
            layers.push(layer)
            if (!isGone) snapshots.push(snapshotOf(layer, second, `at/${index}`))
          }
          const lineages = lineagesOf(snapshots)
          const told = lineages.flatMap(lineage => lineage.snapshots)
          assert.deepEqual(
            told.map(({ location }) => location).toSorted(),
            snapshots.map(({ location }) => location).toSorted(),
          )
          const there = new Map(snapshots.map(one => [one.chain, one.location]))
          for (const {
            origin,
            snapshots: [first, ...rest],
          } of lineages) {
            assert.ok(first)
            assert.equal(origin, first.facts.parent === null ? undefined : there.get(first.facts.parent))
            let below = first
            for (const next of rest) {
              assert.equal(next.facts.parent, below.chain)
              below = next
            }
          }
        },
      ),
    )
  })
})

async function checkHistory(store: ChainStore): Promise<void> {
  await using importer = await importerOver(store)
  const catalog = new DirectoryImageCatalog(store.recordsDirectory)
  assert.deepEqual(await importer.history(), [])
  const first = await buildLayer(store, null, bottom, 'bottom')
  const second = await buildLayer(store, bottom, top, 'top')
  const branch = await buildLayer(store, bottom, side, 'side')
  await catalog.put(imageRecord('x/top:1', [bottom, top]))
  await catalog.put(imageRecord('x/side:1', [bottom, side]))
  for (const name of ['web1', 'web2']) await store.clone(top.chain, parseCloneName(name))
  await store.clone(bottom.chain, parseCloneName('base'))
  await using _builder = await store.extend(side.chain)

  const history = await importer.history()
  const users = ({ origin, snapshots }: LineageHistory) => ({
    origin,
    snapshots: snapshots.map(({ location, images, clones }) => [location, images, clones]),
  })
  assert.deepEqual(history.map(users), [
    {
      origin: undefined,
      snapshots: [
        [first.location, [], ['base']],
        [second.location, ['x/top:1'], ['web1', 'web2']],
      ],
    },
    { origin: first.location, snapshots: [[branch.location, ['x/side:1'], []]] },
  ])
  const [told] = history[1]?.snapshots ?? []
  const { diffId, entries, bytes } = side.facts
  assert.deepEqual(
    [told?.chainId, told?.diffId, told?.entries, told?.bytes],
    [side.chain, diffId, entries, bytes],
  )
  for (const { name } of await store.clones()) await store.destroyClone(name)
}

function snapshotOf({ chain, facts }: FakeLayer, second: number, location: string): LineageSnapshot {
  return {
    kind: 'snapshot',
    chain,
    facts,
    location,
    createdAt: new Date(second * 1000),
    usedBytes: facts.bytes,
  }
}

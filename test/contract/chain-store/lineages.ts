import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { layerOn } from '../../support/fake-layers.ts'
import { buildLayer, type ChainStoreSuite, onFreshStore } from './suite.ts'

const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const top = layerOn(middle, 'top')
const other = layerOn(bottom, 'other')
const alone = layerOn(null, 'alone')

export function lineagesContract(suite: ChainStoreSuite): void {
  describe('lineages', () => {
    it(
      'has none in an empty store',
      onFreshStore(suite, async ({ store }) => {
        assert.deepEqual(await store.lineages(), [])
      }),
    )

    it(
      'tells how chains hang together, oldest first, as every process sees it',
      onFreshStore(suite, async ({ store, reopen }) => {
        const second = await reopen()
        const before = Math.floor(Date.now() / 1000) * 1000
        const first = await buildLayer(store, null, bottom, 'bottom')
        const chain = [first, await buildLayer(store, bottom, middle, 'middle')]
        chain.push(await buildLayer(store, middle, top, 'top'))
        const branch = await buildLayer(store, bottom, other, 'other')
        const tree = await buildLayer(store, null, alone, 'alone')

        const lineages = await second.lineages()
        assert.deepEqual(
          lineages.map(({ dataset }) => dataset),
          lineages.map(({ dataset }) => dataset).toSorted(),
        )
        const found = lineages.map(({ origin, unfinished, snapshots }) => ({
          origin,
          unfinished,
          locations: snapshots.map(({ location }) => location),
        }))
        const expected = [
          { origin: undefined, unfinished: false, locations: chain.map(({ location }) => location) },
          { origin: first.location, unfinished: false, locations: [branch.location] },
          { origin: undefined, unfinished: false, locations: [tree.location] },
        ]
        const byLocation = (lineage: { readonly locations: readonly string[] }): string =>
          lineage.locations[0] ?? ''
        for (const list of [found, expected])
          list.sort((left, right) => (byLocation(left) < byLocation(right) ? -1 : 1))
        assert.deepEqual(found, expected)

        const snapshots = lineages.flatMap(lineage => lineage.snapshots)
        for (const snapshot of snapshots) {
          const { createdAt, usedBytes, ...plain } = snapshot
          assert.deepEqual(plain, await store.find(snapshot.chain))
          assert.ok(createdAt.getTime() >= before && createdAt.getTime() <= Date.now())
          assert.ok(Number.isSafeInteger(usedBytes) && usedBytes >= 0)
        }
      }),
    )

    it(
      'changes with what is removed',
      onFreshStore(suite, async ({ store }) => {
        await buildLayer(store, null, bottom, 'bottom')
        await buildLayer(store, bottom, middle, 'middle')
        await store.remove(middle.chain)
        const [lineage, ...others] = await store.lineages()
        assert.deepEqual(others, [])
        assert.deepEqual(
          lineage?.snapshots.map(({ chain }) => chain),
          [bottom.chain],
        )
      }),
    )

    it(
      'honours the signal',
      onFreshStore(suite, async ({ store }) => {
        await assert.rejects(store.lineages({ signal: AbortSignal.abort() }), { name: 'AbortError' })
      }),
    )
  })
}

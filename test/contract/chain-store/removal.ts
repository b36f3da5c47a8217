import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { layerOn } from '../../support/fake-layers.ts'
import {
  buildLayer,
  type ChainStoreSuite,
  failsWith,
  filesAt,
  filesIn,
  onFreshStore,
  walked,
} from './suite.ts'

const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const other = layerOn(bottom, 'other')
const web = parseCloneName('web')

export function removalContract(suite: ChainStoreSuite): void {
  describe('removing chains', () => {
    it(
      'removes a chain, for the next process too',
      onFreshStore(suite, async ({ store, reopen, leftovers }) => {
        await buildLayer(store, null, bottom, 'bottom')
        await store.remove(bottom.chain)
        assert.equal(await store.find(bottom.chain), undefined)
        assert.equal(await (await reopen()).find(bottom.chain), undefined)
        assert.deepEqual(await leftovers(), [])
        await assert.rejects(store.remove(bottom.chain), failsWith('not_found'))
      }),
    )

    it(
      'keeps a chain that a longer one needs',
      onFreshStore(suite, async ({ store }) => {
        await buildLayer(store, null, bottom, 'bottom')
        await buildLayer(store, bottom, middle, 'middle')
        await buildLayer(store, bottom, other, 'other')
        await assert.rejects(store.remove(bottom.chain), failsWith('conflict'))
        await store.remove(middle.chain)
        await assert.rejects(store.remove(bottom.chain), failsWith('conflict'))
        assert.deepEqual(await filesAt(store, bottom.chain), ['bottom'])
        assert.deepEqual(await filesAt(store, other.chain), ['bottom', 'other'])
        await store.remove(other.chain)
        await store.remove(bottom.chain)
        assert.deepEqual(await walked(store), { snapshots: [], unfinished: [] })
      }),
    )

    it(
      'keeps a chain that a clone was made from',
      onFreshStore(suite, async ({ store }) => {
        await buildLayer(store, null, bottom, 'bottom')
        const clone = await store.clone(bottom.chain, web)
        await assert.rejects(store.remove(bottom.chain), failsWith('conflict'))
        assert.deepEqual(await filesIn(clone.rootfs), ['bottom'])
        assert.deepEqual((await walked(store)).unfinished, [])
        await store.destroyClone(web)
        await store.remove(bottom.chain)
      }),
    )

    it(
      'lets a chain be built anew after its removal',
      onFreshStore(suite, async ({ store }) => {
        await buildLayer(store, null, bottom, 'bottom')
        await buildLayer(store, bottom, middle, 'first')
        await store.remove(middle.chain)
        await buildLayer(store, bottom, middle, 'second')
        assert.deepEqual(await filesAt(store, middle.chain), ['bottom', 'second'])
      }),
    )

    it(
      'leaves a running builder alone',
      onFreshStore(suite, async ({ store }) => {
        await buildLayer(store, null, bottom, 'bottom')
        await buildLayer(store, bottom, other, 'other')
        await using builder = await store.extend(bottom.chain)
        await writeFile(join(builder.rootfs, 'middle'), '')
        await store.remove(other.chain)
        assert.equal(await store.reclaim(), 0)
        await builder.commit(middle.chain, middle.facts)
        assert.deepEqual(await filesAt(store, middle.chain), ['bottom', 'middle'])
      }),
    )
  })
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { layerOn } from '../../support/fake-layers.ts'
import { buildLayer, type ChainStoreSuite, failsWith, filesIn, onFreshStore } from './suite.ts'

const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const top = layerOn(middle, 'top')
const chains = [bottom.chain, middle.chain, top.chain]
const web = parseCloneName('web')

/** An agent and a command line over one pool: two stores that do not know of each other. */
export function sharingContract(suite: ChainStoreSuite): void {
  describe('two stores over one place', () => {
    it(
      'answers the last of several chains that is there',
      onFreshStore(suite, async ({ store }) => {
        assert.equal(await store.findLast(chains), undefined)
        assert.equal(await store.findLast([]), undefined)
        await buildLayer(store, null, bottom, 'bottom')
        const second = await buildLayer(store, bottom, middle, 'middle')
        assert.deepEqual(await store.findLast(chains), second)
        const third = await buildLayer(store, middle, top, 'top')
        assert.deepEqual(await store.findLast(chains), third)
      }),
    )

    it(
      'finds, clones and continues what the other has made since',
      onFreshStore(suite, async ({ store, reopen }) => {
        const other = await reopen()
        const made = await buildLayer(other, null, bottom, 'bottom')
        assert.equal((await store.clone(bottom.chain, web)).origin, made.location)
        assert.deepEqual(await store.find(bottom.chain), made)
        const second = await buildLayer(other, bottom, middle, 'middle')
        assert.deepEqual(await store.findLast(chains), second)
        await buildLayer(store, middle, top, 'top')
        const { rootfs } = await other.clone(top.chain, parseCloneName('web2'))
        assert.deepEqual(await filesIn(rootfs), ['bottom', 'middle', 'top'])
      }),
    )

    it(
      'does not find what the other has removed',
      onFreshStore(suite, async ({ store, reopen }) => {
        await buildLayer(store, null, bottom, 'bottom')
        await buildLayer(store, bottom, middle, 'middle')
        const other = await reopen()
        await other.remove(middle.chain)
        assert.equal((await store.findLast(chains))?.chain, bottom.chain)
        await other.remove(bottom.chain)
        assert.equal(await store.find(bottom.chain), undefined)
        assert.equal(await store.findLast(chains), undefined)
        await assert.rejects(store.clone(bottom.chain, web), failsWith('not_found'))
      }),
    )
  })
}

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { layerOn } from '../../support/fake-layers.ts'
import { buildLayer, type ChainStoreSuite, onFreshStore } from './suite.ts'

const program = join(import.meta.dirname, '../../fixtures/programs/claim-and-wait.ts')
const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const top = layerOn(middle, 'top')

export function claimContract(suite: ChainStoreSuite): void {
  describe('claims', () => {
    it(
      'give one chain to one of all stores over the place, until it is let go',
      onFreshStore(suite, async ({ store, reopen }) => {
        const other = await reopen()
        {
          using claim = store.claim(bottom.chain)
          assert.equal(claim?.chain, bottom.chain)
          assert.equal(store.claim(bottom.chain), undefined)
          assert.equal(other.claim(bottom.chain), undefined)
          using another = other.claim(middle.chain)
          assert.ok(another)
        }
        using later = other.claim(bottom.chain)
        assert.ok(later)
        later[Symbol.dispose]()
        later[Symbol.dispose]()
        using last = store.claim(bottom.chain)
        assert.ok(last)
      }),
    )

    it(
      'end with the process that has them',
      onFreshStore(suite, async ({ store, place }) => {
        const child = spawn(process.execPath, [program, ...place, bottom.chain], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        const ended = once(child, 'exit')
        try {
          const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
          assert.equal(line, 'true')
          assert.equal(store.claim(bottom.chain), undefined)
        } finally {
          child.kill('SIGKILL')
          await ended
        }
        using claim = store.claim(bottom.chain)
        assert.ok(claim)
      }),
    )
  })

  describe('looking for several chains', () => {
    it(
      'finds those that are there, also of another process, and no longer those that it has removed',
      onFreshStore(suite, async ({ store, reopen }) => {
        const all = [bottom.chain, middle.chain, top.chain]
        assert.deepEqual(await store.findAll(all), new Map())
        assert.equal(await store.lastKnown(all), undefined)
        const first = await buildLayer(store, null, bottom, 'bottom')
        assert.deepEqual(await store.lastKnown(all), first)
        const other = await reopen()
        const second = await buildLayer(other, bottom, middle, 'middle')
        const both = new Map([first, second].map(snapshot => [snapshot.chain, snapshot]))
        assert.deepEqual(await store.findAll(all), both)
        assert.deepEqual(await store.findAll([middle.chain]), new Map([[middle.chain, second]]))
        assert.deepEqual(await store.lastKnown(all), second)
        await other.remove(middle.chain)
        assert.deepEqual(await store.findAll(all), new Map([[bottom.chain, first]]))
        assert.deepEqual(await store.findAll([]), new Map())
        const options = { signal: AbortSignal.abort(new Error('enough')) }
        await assert.rejects(store.findAll(all, options), /enough/)
        await assert.rejects(store.lastKnown(all, options), /enough/)
      }),
    )
  })
}

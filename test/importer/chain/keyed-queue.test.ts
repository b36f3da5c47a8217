import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { KeyedQueue } from '../../../src/importer/chain/keyed-queue.ts'

describe('KeyedQueue', () => {
  it('runs work of one key one after the other, in order, whatever fails', async () => {
    const queue = new KeyedQueue<string>()
    const seen: string[] = []
    const work = (name: string, fails = false) =>
      queue.run('key', async () => {
        seen.push(`${name} begins`)
        await nextTurn()
        seen.push(`${name} ends`)
        if (fails) throw new Error(name)
        return name
      })
    const ends = await Promise.allSettled([work('one'), work('two', true), work('three')])
    assert.deepEqual(seen, ['one begins', 'one ends', 'two begins', 'two ends', 'three begins', 'three ends'])
    assert.deepEqual(
      ends.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
  })

  it('lets no key wait for another', async () => {
    const queue = new KeyedQueue<number>()
    const never = Promise.withResolvers<string>()
    const first = queue.run(1, () => never.promise)
    assert.equal(await queue.run(2, async () => 'second'), 'second')
    never.resolve('first')
    assert.equal(await first, 'first')
  })
})

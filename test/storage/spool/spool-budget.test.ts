import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Allowance, SpoolBudget } from '../../../src/storage/spool/spool-budget.ts'

/** Lets everything happen that can happen by now. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** What has been granted so far, by the name of who asked. */
function asker(budget: SpoolBudget) {
  const granted = new Map<string, Allowance>()
  const ask = async (name: string, bytes: number, signal?: AbortSignal): Promise<void> => {
    const allowance = await budget.acquire(bytes, { signal })
    if (allowance !== undefined) granted.set(name, allowance)
  }
  return { granted, ask }
}

describe('SpoolBudget', () => {
  it('lets so many download at once, and so many bytes be there', async () => {
    const budget = new SpoolBudget({ maxBytes: 100, downloads: 2 })
    const { granted, ask } = asker(budget)
    for (const name of ['a', 'b', 'c']) void ask(name, 40)
    await settle()
    assert.deepEqual([...granted.keys()], ['a', 'b'])
    granted.get('a')?.downloaded()
    await settle()
    assert.deepEqual([...granted.keys()], ['a', 'b'])
    granted.get('a')?.[Symbol.dispose]()
    await settle()
    assert.deepEqual([...granted.keys()], ['a', 'b', 'c'])
    assert.equal(budget.bytes, 80)
  })

  it('lets what fits go before what does not fit yet', async () => {
    const { granted, ask } = asker(new SpoolBudget({ maxBytes: 100, downloads: 9 }))
    void ask('first', 60)
    void ask('large', 90)
    void ask('small', 40)
    await settle()
    assert.deepEqual([...granted.keys()], ['first', 'small'])
    granted.get('first')?.[Symbol.dispose]()
    granted.get('small')?.[Symbol.dispose]()
    await settle()
    assert.deepEqual([...granted.keys()], ['first', 'small', 'large'])
  })

  it('answers nothing for what never fits', async () => {
    const budget = new SpoolBudget({ maxBytes: 100, downloads: 1 })
    assert.equal(await budget.acquire(101), undefined)
    assert.equal(await new SpoolBudget({ maxBytes: 0, downloads: 1 }).acquire(1), undefined)
  })

  it('forgets who gives up waiting, and leaves no listener', async () => {
    const budget = new SpoolBudget({ maxBytes: 100, downloads: 9 })
    const first = await budget.acquire(100)
    const giveUp = new AbortController()
    const waiting = budget.acquire(10, giveUp)
    giveUp.abort(new Error('enough'))
    await assert.rejects(waiting, /enough/)
    assert.deepEqual(getEventListeners(giveUp.signal, 'abort'), [])
    await assert.rejects(budget.acquire(1, giveUp), /enough/)
    first?.[Symbol.dispose]()
    assert.equal(budget.bytes, 0)
  })

  it('takes back what was granted in the moment of giving up', async () => {
    const budget = new SpoolBudget({ maxBytes: 100, downloads: 9 })
    const first = await budget.acquire(100)
    const giveUp = new AbortController()
    const waiting = budget.acquire(10, giveUp)
    giveUp.abort(new Error('enough'))
    first?.[Symbol.dispose]()
    await assert.rejects(waiting, /enough/)
    await settle()
    assert.equal(budget.bytes, 0)
  })

  it('never grants more than it has, whatever the order, and in the end has everything back', async () => {
    const step = fc.record({
      bytes: fc.nat(120),
      end: fc.constantFrom('keep', 'downloaded', 'dispose', 'dispose twice', 'give up'),
      pause: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, downloads) => {
          const budget = new SpoolBudget({ maxBytes: 100, downloads })
          let downloading = 0
          const all = steps.map(async ({ bytes, end, pause }) => {
            const giveUp = new AbortController()
            const asked = budget.acquire(bytes, giveUp)
            if (end === 'give up') giveUp.abort()
            const allowance = await asked.catch(() => undefined)
            if (allowance === undefined) return
            downloading += 1
            assert.ok(downloading <= downloads && budget.bytes <= 100)
            if (pause) await settle()
            downloading -= 1
            if (end === 'downloaded') allowance.downloaded()
            if (pause) await settle()
            allowance[Symbol.dispose]()
            if (end === 'dispose twice') allowance[Symbol.dispose]()
          })
          await Promise.all(all)
          assert.equal(budget.bytes, 0)
          const again = await Promise.all(Array.from({ length: downloads }, () => budget.acquire(0)))
          assert.ok(again.every(allowance => allowance !== undefined))
        },
      ),
    )
  })
})

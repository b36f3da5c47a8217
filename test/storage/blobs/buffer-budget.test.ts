import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { BufferBudget, type Loan } from '../../../src/storage/blobs/buffer-budget.ts'

const partBytes = 100
const open = () => new BufferBudget({ limitBytes: 4 * partBytes, partBytes })

/** What a wait has come to, without waiting for it. */
function watch(wait: Promise<Loan>): { loan?: Loan; error?: unknown } {
  const seen: { loan?: Loan; error?: unknown } = {}
  wait.then(
    loan => {
      seen.loan = loan
    },
    (error: unknown) => {
      seen.error = error
    },
  )
  return seen
}

describe('A budget of buffers', () => {
  it('needs room for two parts', () => {
    assert.throws(() => new BufferBudget({ limitBytes: 2 * partBytes - 1, partBytes }), RangeError)
  })

  it('lends up to its limit, and then when something comes back, first come first served', async () => {
    const budget = open()
    const loans = await Promise.all([1, 2, 3, 4].map(() => budget.take(partBytes)))
    const waits = [watch(budget.take(partBytes)), watch(budget.take(partBytes))]
    await turn()
    assert.deepEqual([budget.usedBytes, budget.waiting, waits[0]?.loan], [400, 2, undefined])
    loans[0]?.[Symbol.dispose]()
    loans[0]?.[Symbol.dispose]()
    await turn()
    assert.deepEqual([budget.usedBytes, budget.waiting], [400, 1])
    assert.ok(waits[0]?.loan !== undefined && waits[1]?.loan === undefined)
  })

  it('charges small bodies by what they need, and most of a part as a part', async () => {
    const budget = open()
    using small = await budget.take(partBytes / 2)
    using large = await budget.take(partBytes / 2 + 1)
    assert.deepEqual([small.memory.length, large.memory.length, budget.usedBytes], [50, 100, 150])
  })

  it('lets nobody past those who wait, except what is urgent', async () => {
    const budget = open()
    const loan = await budget.take(3 * partBytes)
    const waiting = watch(budget.take(2 * partBytes))
    assert.equal(budget.tryTake(1), undefined)
    const behind = watch(budget.take(1))
    const urgent = watch(budget.take(partBytes, { urgent: true }))
    await turn()
    assert.ok(urgent.loan !== undefined && behind.loan === undefined)
    loan[Symbol.dispose]()
    await turn()
    assert.ok(waiting.loan !== undefined && behind.loan !== undefined)
  })

  it('forgets who does not want to wait any more, and serves those behind', async () => {
    const budget = open()
    using _loan = await budget.take(3 * partBytes)
    const leaving = new AbortController()
    const first = watch(budget.take(2 * partBytes, { signal: leaving.signal }))
    const second = watch(budget.take(partBytes))
    const reason = new Error('gone')
    leaving.abort(reason)
    await turn()
    assert.equal(first.error, reason)
    assert.ok(second.loan !== undefined)
    await assert.rejects(budget.take(1, { signal: AbortSignal.abort(reason) }), error => error === reason)
  })

  it('takes a wish above the limit for the limit, so that it is fulfilled one day', async () => {
    const budget = open()
    const loan = await budget.take(partBytes)
    const all = watch(budget.take(1_000_000))
    loan[Symbol.dispose]()
    await turn()
    assert.equal(budget.usedBytes, 400)
    assert.ok(all.loan !== undefined)
  })

  it('lends the same memory again, but none that was discarded', async () => {
    const budget = open()
    const first = await budget.take(partBytes)
    const { memory } = first
    first[Symbol.dispose]()
    const second = await budget.take(partBytes)
    assert.equal(second.memory, memory)
    second.discard()
    assert.equal(budget.usedBytes, 0)
    assert.notEqual((await budget.take(partBytes)).memory, memory)
  })

  it('never lends more than its limit, and owes nobody anything at the end', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('take' as const), bytes: fc.nat(500), urgent: fc.boolean() }),
      fc.record({ kind: fc.constant('try' as const), bytes: fc.nat(500) }),
      fc.record({ kind: fc.constant('give' as const), which: fc.nat(50) }),
      fc.record({ kind: fc.constant('abort' as const), which: fc.nat(50) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
        const budget = open()
        const loans: Loan[] = []
        const waits: AbortController[] = []
        const keep = (loan: Loan | undefined) => loan !== undefined && loans.push(loan)
        for (const next of steps) {
          if (next.kind === 'take') {
            const controller = new AbortController()
            waits.push(controller)
            budget.take(next.bytes, { urgent: next.urgent, signal: controller.signal }).then(keep, () => {})
          } else if (next.kind === 'try') keep(budget.tryTake(next.bytes))
          else if (next.kind === 'give') loans.splice(next.which, 1)[0]?.[Symbol.dispose]()
          else waits[next.which]?.abort()
          assert.ok(budget.usedBytes <= budget.limitBytes)
          await turn()
        }
        while (budget.waiting > 0 || loans.length > 0) {
          assert.ok(loans.length > 0, 'somebody waits although nothing is on loan')
          for (const loan of loans.splice(0)) loan[Symbol.dispose]()
          await turn()
        }
        assert.equal(budget.usedBytes, 0)
      }),
      { numRuns: 200 },
    )
  })
})

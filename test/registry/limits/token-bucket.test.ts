import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { BucketTable } from '../../../src/registry/limits/bucket-table.ts'
import { take } from '../../../src/storage/streams/token-bucket.ts'

const rates = fc.record({
  perSecond: fc.double({ min: 0.01, max: 1e6, noNaN: true }),
  burst: fc.integer({ min: 1, max: 10_000 }),
})
/** Amounts, and how long after the one before somebody comes with each. */
const requests = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 50 }), fc.double({ min: 0, max: 5000, noNaN: true })),
  {
    minLength: 1,
    maxLength: 200,
  },
)
/** For sums of many small errors of rounding: a factor, and milliseconds. */
const slack = 1 + 1e-9
const slackMs = 1e-3

describe('A token bucket', () => {
  it('gives its burst at once, and then no more', () => {
    for (const burst of [1, 5, 1000]) {
      const rate = { perSecond: 3, burst }
      let fullAt: number | undefined
      for (let count = 0; count < burst; count++) {
        const taken = take(rate, fullAt, 1, 1e9)
        assert.equal(taken.waitMs, 0)
        fullAt = taken.fullAt
      }
      assert.ok(take(rate, fullAt, 1, 1e9).waitMs > 0)
    }
  })

  it('never lets anybody who takes what is there have more than burst + rate × time', () => {
    fc.assert(
      fc.property(rates, requests, (rate, steps) => {
        let [now, fullAt]: [number, number | undefined] = [1000, undefined]
        const admitted: { at: number; amount: number }[] = []
        for (const [amount, after] of steps) {
          now += after
          const taken = take(rate, fullAt, amount, now)
          if (taken.waitMs > 0) continue
          fullAt = taken.fullAt
          admitted.push({ at: now, amount })
        }
        // In each stretch of time, not only from the beginning.
        for (const [first, { at: start }] of admitted.entries()) {
          let sum = 0
          for (const { at, amount } of admitted.slice(first)) {
            sum += amount
            assert.ok(sum <= (rate.burst + (rate.perSecond * (at - start + slackMs)) / 1000) * slack)
          }
        }
      }),
    )
  })

  it('never lets anybody who waits as long as told have more than burst + rate × time', () => {
    fc.assert(
      fc.property(rates, requests, (rate, steps) => {
        let [now, fullAt, sum]: [number, number | undefined, number] = [1000, undefined, 0]
        const start = 1000
        for (const [amount, after] of steps) {
          now += after
          const taken = take(rate, fullAt, amount, now)
          fullAt = taken.fullAt
          sum += amount
          const passesAt = now + taken.waitMs
          assert.ok(sum <= (rate.burst + (rate.perSecond * (passesAt - start + slackMs)) / 1000) * slack)
        }
      }),
    )
  })

  it('is there when it was told to be', () => {
    fc.assert(
      fc.property(rates, requests, (rate, steps) => {
        let [now, fullAt]: [number, number | undefined] = [1000, undefined]
        for (const [amount, after] of steps) {
          if (amount > rate.burst) continue
          now += after
          const taken = take(rate, fullAt, amount, now)
          // A little later, because of rounding.
          const again = take(rate, fullAt, amount, now + taken.waitMs * slack + 1e-6)
          assert.equal(again.waitMs, 0)
          fullAt = again.fullAt
          now += taken.waitMs * slack + 1e-6
        }
      }),
    )
  })
})

describe('A table of buckets', () => {
  const table = (size: number, rate = { perSecond: 1, burst: 2 }) => {
    const clock = { time: 0 }
    return { clock, buckets: new BucketTable({ rate, size, now: () => clock.time }) }
  }

  it('keeps names apart, and tells when to come again', () => {
    const { clock, buckets } = table(10)
    for (const name of ['a', 'b']) {
      assert.equal(buckets.tryTake(name), 0)
      assert.equal(buckets.tryTake(name), 0)
      assert.equal(buckets.tryTake(name), 1000)
    }
    clock.time = 999
    assert.ok(buckets.tryTake('a') > 0)
    clock.time = 1000
    assert.equal(buckets.tryTake('a'), 0)
    assert.ok(buckets.tryTake('a') > 0)
  })

  it('makes who may owe wait for those who came before', () => {
    const { buckets } = table(10)
    assert.deepEqual(
      [2, 1, 3].map(amount => buckets.take('a', amount)),
      [0, 1000, 4000],
    )
  })

  it('forgets nobody who owes, however many others come', () => {
    const { clock, buckets } = table(100)
    for (let count = 0; count < 2; count++) buckets.tryTake('debtor')
    for (let other = 0; other < 10_000; other++) {
      buckets.tryTake(`other ${other}`)
      assert.ok(buckets.size <= 100)
    }
    assert.ok(buckets.tryTake('debtor') > 0)
    clock.time = 2000
    assert.equal(buckets.tryTake('debtor'), 0)
  })

  it('lets those who find no room have no more than the buckets that they share', () => {
    const { buckets } = table(10)
    let admitted = 0
    for (let other = 0; other < 100_000; other++) if (buckets.tryTake(`other ${other}`) === 0) admitted += 1
    assert.ok(admitted <= 2 * 10 + 2 * 256, `${admitted}`)
  })

  it('has room again when debts are paid', () => {
    const { clock, buckets } = table(10)
    for (let other = 0; other < 100; other++) buckets.tryTake(`other ${other}`)
    clock.time = 10_000
    for (let other = 100; other < 110; other++) {
      assert.equal(buckets.tryTake(`other ${other}`), 0)
      assert.equal(buckets.tryTake(`other ${other}`), 0)
      assert.ok(buckets.tryTake(`other ${other}`) > 0)
    }
  })

  it('lets each have what is his, in any order of many', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 400 })), {
          maxLength: 300,
        }),
        steps => {
          const { clock, buckets } = table(5)
          const admitted = new Map<string, number>()
          for (const [name, after] of steps) {
            clock.time += after
            if (buckets.tryTake(`${name}`) !== 0) continue
            const count = (admitted.get(`${name}`) ?? 0) + 1
            admitted.set(`${name}`, count)
            assert.ok(count <= 2 + clock.time / 1000)
          }
        },
      ),
    )
  })
})

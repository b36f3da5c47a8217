import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { inParallel, mapAhead } from '../../../src/registry/mirror/in-parallel.ts'
import { TagsUnderWay } from '../../../src/registry/mirror/tags-under-way.ts'

async function* numbers(count: number, onTaken: (number: number) => void = () => {}) {
  for (let number = 0; number < count; number += 1) {
    onTaken(number)
    yield number
  }
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) await turn()
}

describe('work in parallel', () => {
  it('does each item once, never more at once than it may, and takes none too early', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(30),
        fc.integer({ min: 1, max: 6 }),
        fc.infiniteStream(fc.nat(4)),
        async (count, most, lengths) => {
          const done: number[] = []
          let [running, taken] = [0, 0]
          const items = numbers(count, number => {
            taken = number + 1
            assert.ok(taken - done.length <= most)
          })
          await inParallel(items, most, async number => {
            running += 1
            assert.ok(running <= most)
            await turns(lengths.next().value ?? 0)
            running -= 1
            done.push(number)
          })
          assert.deepEqual(
            done.toSorted((one, other) => one - other),
            await Array.fromAsync(numbers(count)),
          )
        },
      ),
    )
  })

  it('ends with what failed first, once all has ended, and begins nothing more', async () => {
    const begun: number[] = []
    let running = 0
    await assert.rejects(
      inParallel(numbers(100), 4, async number => {
        begun.push(number)
        running += 1
        await turns(number === 5 ? 1 : 5)
        running -= 1
        if (number === 5) throw new Error('five')
      }),
      /five/,
    )
    assert.equal(running, 0)
    assert.ok(begun.length <= 10, begun.join())
  })

  it('ends with what its items fail with', async () => {
    async function* broken() {
      yield 1
      await turn()
      throw new Error('no more')
    }
    await assert.rejects(
      inParallel(broken(), 3, () => turns(3)),
      /no more/,
    )
  })
})

describe('work ahead of a reader', () => {
  it('keeps the order, and is never further ahead than it may', async () => {
    let begun = 0
    const read: number[] = []
    for await (const number of mapAhead(numbers(40), 5, async item => {
      begun += 1
      await turns((item * 7) % 5)
      return item
    })) {
      read.push(number)
      assert.ok(begun - read.length <= 5)
    }
    assert.deepEqual(read, await Array.fromAsync(numbers(40)))
  })
})

describe('tags under way', () => {
  it('are waited for, for each repository by itself', async () => {
    const underWay = new TagsUnderWay<string>()
    await underWay.none('a', {})
    underWay.begun('a')
    underWay.begun('a')
    underWay.begun('b')
    let isOver = false
    const waiting = underWay.none('a', {}).then(() => {
      isOver = true
    })
    underWay.ended('b')
    underWay.ended('a')
    await turns(2)
    assert.equal(isOver, false)
    underWay.ended('a')
    await waiting
    underWay.begun('a')
    await assert.rejects(underWay.none('a', { signal: AbortSignal.abort() }), { name: 'AbortError' })
  })
})

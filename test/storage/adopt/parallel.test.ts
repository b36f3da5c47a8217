import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { forEachParallel } from '../../../src/storage/adopt/parallel.ts'

describe('work in parallel', () => {
  it('does everything once, and no more than so much at a time', async () => {
    let running = 0
    let most = 0
    const done: number[] = []
    await forEachParallel(new Set(Array.from({ length: 50 }, (_, index) => index)), 3, async item => {
      running += 1
      most = Math.max(most, running)
      await turn()
      running -= 1
      done.push(item)
    })
    assert.equal(most, 3)
    assert.deepEqual(
      done.toSorted((a, b) => a - b),
      [...Array(50).keys()],
    )
  })

  it('ends with the first failure, when nothing runs any more', async () => {
    let running = 0
    let begun = 0
    const work = async (item: number): Promise<void> => {
      begun += 1
      running += 1
      await turn()
      running -= 1
      if (item === 2) throw new Error('two')
    }
    await assert.rejects(forEachParallel([...Array(50).keys()], 4, work), /two/)
    assert.equal(running, 0)
    assert.ok(begun <= 9, String(begun))
  })

  it('is aborted', async () => {
    const controller = new AbortController()
    let begun = 0
    const work = async (): Promise<void> => {
      begun += 1
      controller.abort()
      await turn()
    }
    await assert.rejects(forEachParallel([1, 2, 3], 1, work, controller), { name: 'AbortError' })
    assert.equal(begun, 1)
  })
})

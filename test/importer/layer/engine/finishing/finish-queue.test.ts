import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import {
  type Finishing,
  FinishQueue,
  maxContentBytes,
} from '../../../../../src/importer/layer/engine/finishing/finish-queue.ts'

/** The queue's counts go on where 32 bits end: a long layer passes this. */
const firstCounts = fc.constantFrom(0, -1, -100, 2 ** 31 - 1, 2 ** 31 - 50, -(2 ** 31))
/** So many small ones that there is no slot left, and so many large ones that there is no memory left. */
const lengths = fc.constantFrom(100, maxContentBytes).map(max => fc.integer({ min: 0, max }))
const steps = lengths.chain(length =>
  fc.array(
    fc.oneof(
      { weight: 4, arbitrary: length.map(give => ({ give })) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }).map(take => ({ take })) },
    ),
    { minLength: 1, maxLength: 1000, size: 'max' },
  ),
)

class Enough extends Error {}

/** What one has, as the other side would see it later. */
const copyOf = ({ content, ...rest }: Finishing): Finishing => ({ ...rest, content: Buffer.from(content) })

function finishingOf(number: number, length: number): Finishing {
  return {
    file: { descriptor: number, mode: number % 0o777, uid: 2 ** 32 - 2, gid: number },
    attributes: { mode: 0o7777, uid: number, gid: 2 ** 32 - 2, mtime: number + 0.123456789 },
    content: Buffer.alloc(length, number % 251),
  }
}

describe('FinishQueue', () => {
  it('gives what it was given, whole and in order, and refuses only what has no room', () => {
    fc.assert(
      fc.property(firstCounts, steps, (first, steps) => {
        const giver = new FinishQueue()
        new Int32Array(giver.memory, 0, 2).fill(first)
        const taker = new FinishQueue(giver.memory)
        const waiting: Finishing[] = []
        let done = 0
        for (const [number, step] of steps.entries()) {
          if ('give' in step) {
            const finishing = finishingOf(number, step.give)
            const bytes = waiting.reduce((sum, { content }) => sum + content.length, step.give)
            if (giver.give(finishing)) waiting.push(finishing)
            // What does not fit at the end of the memory is at its beginning.
            else assert.ok(waiting.length === 128 || bytes > 7 * maxContentBytes)
          } else {
            const end = done + step.take
            const take = (): void =>
              taker.takeAll(finishing => {
                if (done === end) throw new Enough()
                assert.deepEqual(copyOf(finishing), waiting.shift())
                done++
              })
            if (waiting.length > step.take) assert.throws(take, Enough)
            else take()
          }
          assert.deepEqual([giver.waiting, giver.done], [waiting.length, (first + done) | 0])
        }
      }),
      { numRuns: 50 },
    )
  })

  it('has room for eight of the largest and for no ninth, wherever its memory begins anew', () => {
    for (const before of [0, 1, 100, maxContentBytes - 1]) {
      const queue = new FinishQueue()
      queue.give(finishingOf(0, before))
      queue.takeAll(() => {})
      let given = 0
      while (queue.give(finishingOf(given, maxContentBytes))) given++
      assert.ok(given === 8 || (before > 0 && given === 7), `${given} after ${before} bytes`)
    }
  })

  it('does not keep whoever waits for somebody who has ended', () => {
    const giver = new FinishQueue()
    assert.equal(giver.give(finishingOf(1, 1)), true)
    new FinishQueue(giver.memory).end()
    giver.waitUntilDone()
    assert.deepEqual([giver.hasEnded, giver.waiting], [true, 1])
  })

  it('does not keep whoever waits for a thread that has run out of memory, which says nothing', async () => {
    const giver = new FinishQueue()
    const thread = new Worker(new URL('./hungry-taker.ts', import.meta.url), {
      workerData: giver.memory,
      resourceLimits: { maxOldGenerationSizeMb: 64 },
    })
    const failures: unknown[] = []
    thread.on('error', error => failures.push(error))
    while (!giver.isServed) await sleep(1)
    giver.give(finishingOf(1, 1))
    giver.waitUntilDone()
    assert.deepEqual([giver.hasEnded, giver.isServed, giver.waiting], [true, false, 1])
    while (failures.length === 0) await sleep(1)
    assert.match(String(failures[0]), /memory/)
  })
})

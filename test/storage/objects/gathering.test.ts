import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { Gathering } from '../../../src/storage/objects/s3/gathering.ts'
import { SpareBuffers } from '../../../src/storage/objects/spare-buffers.ts'

const pieces = fc.array(
  fc.uint8Array({ minLength: 1, maxLength: 40 }).map(bytes => Buffer.from(bytes)),
  { maxLength: 30 },
)

describe('Gathering', () => {
  it('gives each byte once and in order, whoever is faster, and keeps what was taken', async () => {
    const property = fc.asyncProperty(pieces, fc.infiniteStream(fc.boolean()), async (given, turns) => {
      using gathering = new Gathering(new SpareBuffers(16, 2))
      const put = async (): Promise<void> => {
        for (const piece of given) {
          if (turns.next().value === true) await nextTurn()
          gathering.put(Buffer.from(piece))
        }
        gathering.end()
      }
      const putting = put()
      const taken: Buffer[] = []
      for (let bytes = await gathering.take(); bytes !== undefined; bytes = await gathering.take()) {
        const before = Buffer.from(bytes)
        assert.ok(before.length > 0 && before.length <= 16)
        if (turns.next().value === true) await nextTurn()
        assert.ok(bytes.equals(before), 'bytes changed while they were being used')
        taken.push(before)
      }
      await putting
      assert.ok(Buffer.concat(taken).equals(Buffer.concat(given)))
    })
    await fc.assert(property, { numRuns: 100 })
  })

  it('has no room from when a memory is full until it is taken', async () => {
    using gathering = new Gathering(new SpareBuffers(4, 2))
    gathering.put(Buffer.of(1, 2, 3))
    assert.ok(gathering.hasRoom)
    gathering.put(Buffer.of(4, 5))
    assert.ok(!gathering.hasRoom)
    assert.deepEqual([...((await gathering.take()) ?? [])], [1, 2, 3, 4])
    assert.ok(gathering.hasRoom)
    assert.deepEqual([...((await gathering.take()) ?? [])], [5])
  })

  it('fails before it gives what was there, and wakes whoever waits', async () => {
    const failure = new Error('reset')
    using waiting = new Gathering(new SpareBuffers(4, 2))
    const taking = waiting.take()
    waiting.fail(failure)
    await assert.rejects(taking, failure)
    using full = new Gathering(new SpareBuffers(4, 2))
    full.put(Buffer.of(1))
    full.fail(failure)
    await assert.rejects(full.take(), failure)
  })
})

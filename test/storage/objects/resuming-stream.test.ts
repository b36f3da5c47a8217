import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { ResumingStream } from '../../../src/storage/objects/s3/resuming-stream.ts'

const whole = Buffer.from(Array.from({ length: 300 }, (_, index) => index % 251))

/** A body that gives the bytes from `position` on, and after `length` of them breaks in its own way. */
type Break = { readonly length: number; readonly how: 'error' | 'end' | 'close' }

function bodyOf(position: number, end: number, broken: Break | undefined): Readable {
  const last = broken === undefined ? end : Math.min(position + broken.length, end)
  async function* chunks() {
    for (let at = position; at < last; at += 7) yield whole.subarray(at, Math.min(at + 7, last))
    if (broken?.how === 'error') throw new Error('reset')
    if (broken?.how === 'close') body.destroy()
    await nextTurn()
  }
  const body: Readable = Readable.from(chunks(), { objectMode: false })
  return body
}

function open(breaks: readonly Break[], { start = 0, end = whole.length, maxBreaks = 1000 } = {}) {
  const opened: number[] = []
  const bodyAt = (position: number): Readable => {
    opened.push(position)
    return bodyOf(position, end, breaks[opened.length - 1])
  }
  const stream = new ResumingStream(bodyAt(start), {
    start,
    end,
    reopen: async position => bodyAt(position),
    idleTimeoutMs: 10_000,
    maxBreaks,
    convert: error => error,
  })
  return { stream, opened }
}

const breakArbitrary: fc.Arbitrary<Break> = fc.record({
  length: fc.nat(100),
  how: fc.constantFrom('error', 'end', 'close'),
})

describe('ResumingStream', () => {
  it('gives each byte once, wherever and however connections break', async () => {
    const property = fc.asyncProperty(
      // More breaks in a row would take their pauses' time.
      fc.array(breakArbitrary, { maxLength: 3 }),
      fc.nat(whole.length - 1),
      async (breaks, start) => {
        const { stream } = open(breaks, { start })
        assert.ok((await buffer(stream)).equals(whole.subarray(start)))
        const chunks: Buffer[] = []
        await open(breaks, { start }).stream.copyTo(async chunk => void chunks.push(Buffer.from(chunk)))
        assert.ok(Buffer.concat(chunks).equals(whole.subarray(start)))
      },
    )
    await fc.assert(property, { numRuns: 30 })
  })

  it('goes on from the byte that it has come to', async () => {
    const { stream, opened } = open([{ length: 50, how: 'error' }], { start: 10, end: 100 })
    assert.ok((await buffer(stream)).equals(whole.subarray(10, 100)))
    assert.deepEqual(opened, [10, 60])
  })

  it('gives up when nothing comes', async () => {
    const nothing: Break = { length: 0, how: 'end' }
    const { stream, opened } = open(
      Array.from({ length: 9 }, () => nothing),
      { maxBreaks: 3 },
    )
    await assert.rejects(buffer(stream), /fewer bytes/)
    assert.equal(opened.length, 3)
  })

  it('fails when more comes than was announced', async () => {
    const stream = new ResumingStream(Readable.from([whole]), {
      start: 0,
      end: 10,
      reopen: () => assert.fail('it must not go on'),
      idleTimeoutMs: 10_000,
      maxBreaks: 3,
      convert: error => error,
    })
    await assert.rejects(buffer(stream), /more bytes/)
  })

  it('replaces a connection that falls silent while somebody waits', async () => {
    const silent = new PassThrough()
    silent.write(whole.subarray(0, 5))
    const stream = new ResumingStream(silent, {
      start: 0,
      end: whole.length,
      reopen: async position => bodyOf(position, whole.length, undefined),
      idleTimeoutMs: 20,
      maxBreaks: 3,
      convert: error => error,
    })
    assert.ok((await buffer(stream)).equals(whole))
    assert.ok(silent.destroyed)
  })

  it('lets go of the connection, and of one that is being opened, when it is destroyed', async () => {
    const reading = open([]).stream
    reading.destroy()
    assert.ok(reading.destroyed)

    const late = new PassThrough()
    const opening = Promise.withResolvers<Readable>()
    const asked = Promise.withResolvers<AbortSignal>()
    const stream = new ResumingStream(Readable.from([]), {
      start: 0,
      end: 10,
      reopen: (_position, signal) => {
        asked.resolve(signal)
        return opening.promise
      },
      idleTimeoutMs: 10_000,
      maxBreaks: 3,
      convert: error => error,
    })
    stream.resume()
    const signal = await asked.promise
    stream.destroy()
    assert.ok(signal.aborted)
    opening.resolve(late)
    await nextTurn()
    assert.ok(late.destroyed)
  })
})

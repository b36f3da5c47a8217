import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import fc from 'fast-check'
import {
  advance,
  capacityOf,
  filled,
  spanToRead,
  spanToWrite,
} from '../../../../src/importer/layer/engine/positions.ts'
import { RingReadable, RingWritable } from '../../../../src/importer/layer/engine/ring-streams.ts'
import { RingStopped, SharedRing } from '../../../../src/importer/layer/engine/shared-ring.ts'

/** As a thread has it. */
const sideOf = (ring: SharedRing): SharedRing => new SharedRing(ring.memory)

describe('positions in a ring', () => {
  const place = fc.record({
    capacity: fc.integer({ min: 12, max: 30 }).map(bits => 2 ** bits),
    read: fc.oneof(fc.integer(), fc.constantFrom(-1, -4096, 2 ** 31 - 1, -(2 ** 31))),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    wanted: fc.integer({ min: 1, max: 2 ** 30 }),
  })

  it('never write over what is not read, nor read what is not written, also where they overflow', () => {
    fc.assert(
      fc.property(place, ({ capacity, read, share, wanted }) => {
        const content = Math.floor(capacity * share)
        const written = advance(read, content)
        assert.equal(filled(written, read), content)
        const toWrite = spanToWrite(written, read, capacity, wanted)
        const toRead = spanToRead(written, read, capacity, wanted)
        for (const { start, length } of [toWrite, toRead]) assert.ok(start >= 0 && start + length <= capacity)
        assert.ok(toWrite.length <= Math.min(wanted, capacity - content))
        assert.ok(toRead.length <= Math.min(wanted, content))
        assert.equal(toWrite.length === 0, content === capacity)
        assert.equal(toRead.length === 0, content === 0)
      }),
    )
  })

  it('follow each other in memory', () => {
    for (const read of [-3, 2 ** 31 - 2, 4093]) {
      const one = spanToRead(advance(read, 3), read, 4096, 3)
      const next = spanToRead(advance(read, 6), advance(read, 3), 4096, 3)
      assert.equal(next.start, (one.start + 3) % 4096)
    }
  })

  it('have a power of two for a capacity', () => {
    assert.deepEqual([0, 5000, 16 * 1024 ** 2, 2 ** 40].map(capacityOf), [
      4096,
      4096,
      16 * 1024 ** 2,
      2 ** 30,
    ])
  })
})

describe('SharedRing', { timeout: 60_000 }, () => {
  for (const [how, read] of [
    ['piped', async (stream: Readable) => await buffer(stream.pipe(new PassThrough()))],
    ['iterated', async (stream: Readable) => await copied(stream)],
  ] as const)
    it(`carries a stream that is much larger than itself, ${how}`, async () => {
      const ring = SharedRing.ofSize(4096)
      const bytes = randomBytes(300_000)
      const pieces = Array.from({ length: 300 }, (_, index) =>
        bytes.subarray(index * 1000, (index + 1) * 1000),
      )
      for (let time = 0; time < 2; time++) {
        ring.reset()
        const writing = pipeline(Readable.from(pieces), new RingWritable(sideOf(ring)))
        assert.deepEqual(await read(new RingReadable(sideOf(ring))), bytes)
        await writing
      }
    })

  it('lends views of its memory to who iterates, and gives copies to who pipes', async () => {
    const ring = SharedRing.ofSize(4096)
    await ring.write(Buffer.from('hello'))
    for await (const chunk of new RingReadable(sideOf(ring)) as AsyncIterable<Buffer>) {
      assert.equal(chunk.buffer, ring.memory)
      break
    }
    ring.reset()
    await ring.write(Buffer.from('hello'))
    ring.end()
    const [chunk] = (await once(new RingReadable(sideOf(ring)), 'data')) as [Buffer]
    assert.equal(chunk.toString(), 'hello')
    assert.notEqual(chunk.buffer, ring.memory)
  })

  it('ends only after its last bytes', async () => {
    const ring = SharedRing.ofSize(4096)
    await ring.write(Buffer.from('last'))
    ring.end()
    assert.equal((await ring.take(100))?.toString(), 'last')
    ring.release(4)
    assert.equal(await ring.take(100), undefined)
  })

  it('fails on both sides when it is stopped, while they wait and after', async () => {
    const ring = SharedRing.ofSize(4096)
    const reading = assert.rejects(ring.take(1), RingStopped)
    ring.stop()
    await reading
    ring.reset()
    await ring.write(Buffer.alloc(4096))
    const writing = assert.rejects(ring.write(Buffer.alloc(1)), RingStopped)
    ring.stop()
    await writing
    await assert.rejects(ring.write(Buffer.alloc(1)), RingStopped)
    await assert.rejects(ring.take(1), RingStopped)
    await assert.rejects(buffer(new RingReadable(sideOf(ring))), RingStopped)
  })

  it('is stopped, not ended, when what is written into it fails', async () => {
    const ring = SharedRing.ofSize(4096)
    const failing = Readable.from(
      (async function* () {
        yield Buffer.from('some')
        throw new Error('no more')
      })(),
    )
    await assert.rejects(pipeline(failing, new RingWritable(sideOf(ring))), /no more/)
    await assert.rejects(buffer(new RingReadable(sideOf(ring))), RingStopped)
  })
})

/** Takes a copy of each chunk before it asks for the next one. */
async function copied(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

describe('a ring whose memory serves one stream after the other', () => {
  it('a reader that was destroyed while it waited takes nothing of the next stream', async () => {
    const ring = SharedRing.ofSize(65_536)
    const old = new RingReadable(sideOf(ring))
    old.on('error', () => {})
    old.resume()
    await setTimeout(20)
    old.destroy()
    ring.stop()
    ring.reset()
    const next = new RingReadable(sideOf(ring))
    const writer = sideOf(ring)
    await writer.write(Buffer.from('first'))
    await setTimeout(20)
    await writer.write(Buffer.from(' second'))
    writer.end()
    assert.equal((await buffer(next)).toString(), 'first second')
  })

  it('a writer that was destroyed while it waited puts nothing into the next stream', async () => {
    const ring = SharedRing.ofSize(4096)
    const old = new RingWritable(sideOf(ring))
    old.on('error', () => {})
    old.write(Buffer.alloc(10_000, 'old'))
    await setTimeout(20)
    old.destroy()
    ring.reset()
    const content = buffer(new RingReadable(sideOf(ring)))
    const writer = sideOf(ring)
    await writer.write(Buffer.from('new'))
    await setTimeout(20)
    writer.end()
    assert.equal((await content).toString(), 'new')
  })
})

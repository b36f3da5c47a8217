import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Bandwidth } from '../../../src/registry/limits/bandwidth.ts'
import { type Pace, PacedStream, paced } from '../../../src/storage/streams/paced-stream.ts'
import type { RegistryRequest } from '../../../src/registry/request.ts'
import type { Abortable } from '../../../src/storage/abortable.ts'
import { BytesStream } from '../../../src/storage/streams/bytes-stream.ts'
import { isDirect } from '../../../src/storage/streams/direct.ts'

/** Lets everything pass, and notes how much at once. */
function notedPace(sliceBytes: number): Pace & { readonly passed: number[] } {
  const passed: number[] = []
  return {
    sliceBytes,
    passed,
    pass: async bytes => {
      passed.push(bytes)
    },
  }
}

async function copied(stream: Readable): Promise<Buffer> {
  assert.ok(isDirect(stream))
  const chunks: Buffer[] = []
  await stream.copyTo(async chunk => void chunks.push(Buffer.from(chunk)))
  return Buffer.concat(chunks)
}

describe('A paced stream', () => {
  it('has the bytes of its source, in slices, however they come and are read', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 300 })),
        fc.integer({ min: 1, max: 100 }),
        async (chunks, sliceBytes) => {
          const whole = Buffer.concat(chunks)
          const nonEmpty = chunks.filter(chunk => chunk.length > 0)
          for (const read of [
            async (pace: Pace) => buffer(new PacedStream(Readable.from(nonEmpty), pace, { owns: false })),
            async (pace: Pace) => buffer(paced(Readable.from(nonEmpty), pace)),
            async (pace: Pace) => buffer(paced(new BytesStream(whole), pace)),
            async (pace: Pace) => copied(paced(new BytesStream(whole), pace)),
          ]) {
            const pace = notedPace(sliceBytes)
            assert.deepEqual(await read(pace), whole)
            assert.equal(
              pace.passed.reduce((sum, bytes) => sum + bytes, 0),
              whole.length,
            )
            assert.ok(pace.passed.every(bytes => bytes <= sliceBytes))
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  it('reads nothing before it is read', async () => {
    const source = new Readable({ read: () => assert.fail('it was read') })
    const stream = new PacedStream(source, notedPace(10), { owns: false })
    await new Promise(setImmediate)
    stream.destroy()
  })

  it('fails as its source fails, be it read or not', async () => {
    for (const owns of [true, false]) {
      const failure = new Error('the disk is on fire')
      const early = Readable.from([Buffer.from('x')])
      early.on('error', () => {})
      const unread = new PacedStream(early, notedPace(10), { owns })
      early.destroy(failure)
      await assert.rejects(buffer(unread), failure)

      const late = new PassThrough()
      late.write('some')
      const reading = buffer(new PacedStream(late, notedPace(10), { owns }))
      setImmediate(() => late.destroy(failure))
      await assert.rejects(reading, failure)
    }
  })

  it('fails as its pace does, and leaves alone what is not its own', async () => {
    const refusal = new Error('there is no room')
    for (const owns of [true, false]) {
      const source = Readable.from([Buffer.from('one'), Buffer.from('two')])
      const pace: Pace = { sliceBytes: 10, pass: () => Promise.reject(refusal) }
      await assert.rejects(buffer(new PacedStream(source, pace, { owns })), refusal)
      assert.equal(source.destroyed, owns)
      source.destroy()
    }
  })

  it('that ends while it waits ends the waiting, and its source', async () => {
    for (const begin of [
      (stream: Readable) => void stream.read(),
      (stream: Readable) => void copied(stream).catch(() => {}),
    ]) {
      const waiting = Promise.withResolvers<AbortSignal>()
      const pace: Pace = {
        sliceBytes: 10,
        pass: (_bytes, { signal }) =>
          new Promise((_resolve, reject) => {
            assert.ok(signal)
            signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
            waiting.resolve(signal)
          }),
      }
      const source = new BytesStream(randomBytes(100))
      const stream = paced(source, pace)
      begin(stream)
      const signal = await waiting.promise
      stream.destroy()
      assert.equal(signal.aborted, true)
      assert.equal(getEventListeners(signal, 'abort').length, 0)
      await new Promise(setImmediate)
      assert.equal(source.destroyed, true)
    }
  })
})

/** Time that passes when nobody has anything else to do. */
class VirtualTime {
  now = 0
  readonly #waiting: { readonly until: number; readonly wake: () => void }[] = []

  readonly sleep = (ms: number, { signal }: Abortable): Promise<void> => {
    signal?.throwIfAborted()
    return new Promise(wake => {
      this.#waiting.push({ until: this.now + ms, wake })
    })
  }

  /** Until all of it is done. */
  async run<Result>(work: Promise<Result>): Promise<Result> {
    let isDone = false
    const ended = work.finally(() => {
      isDone = true
    })
    while (!isDone) {
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
      const next = this.#waiting.sort((a, b) => a.until - b.until).shift()
      if (next === undefined) continue
      this.now = next.until
      next.wake()
    }
    return ended
  }
}

describe('Bandwidth', () => {
  const request = (body: Readable, length: number, client = '192.0.2.1') =>
    ({ facts: {}, client, body, headers: { 'content-length': String(length) } }) as unknown as RegistryRequest

  it('lets no more than one second’s bytes and the rate through, in each direction', async () => {
    const time = new VirtualTime()
    const bytesPerSecond = 40_000
    const limit = new Bandwidth({ bytesPerSecond, now: () => time.now, sleep: time.sleep })
    const content = randomBytes(200_000)
    for (const direction of ['in', 'out'] as const) {
      const start = time.now
      let seen = 0
      const look = (bytes: number): void => {
        seen += bytes
        // What is read ahead has passed already.
        assert.ok(seen <= bytesPerSecond + ((time.now - start) * bytesPerSecond) / 1000 + 1)
      }
      const handler = limit.around('x', async ({ body }) => {
        if (direction === 'in') for await (const chunk of body as AsyncIterable<Buffer>) look(chunk.length)
        return { status: 200, content: { type: 'x', stream: new BytesStream(content) } }
      })
      const work = async (): Promise<void> => {
        const body = direction === 'in' ? Readable.from([content]) : Readable.from([])
        const reply = await handler(request(body, direction === 'in' ? content.length : 0))
        assert.ok(reply.content !== undefined && 'stream' in reply.content && isDirect(reply.content.stream))
        if (direction === 'out') await reply.content.stream.copyTo(async chunk => look(chunk.length))
        else reply.content.stream.destroy()
      }
      await time.run(work())
      assert.equal(seen, content.length)
    }
  })

  it('gives the transfers of one party the same share, and others theirs', async () => {
    const time = new VirtualTime()
    const limit = new Bandwidth({ bytesPerSecond: 100_000, now: () => time.now, sleep: time.sleep })
    const sent = new Map<string, number>()
    const spread: number[] = []
    const handler = limit.around('x', () => ({
      status: 200,
      content: { type: 'x', stream: new BytesStream(randomBytes(1_000_000)) },
    }))
    const transfer = async (name: string, client: string): Promise<void> => {
      const reply = await handler(request(Readable.from([]), 0, client))
      assert.ok(reply.content !== undefined && 'stream' in reply.content && isDirect(reply.content.stream))
      await reply.content.stream.copyTo(async chunk => {
        sent.set(name, (sent.get(name) ?? 0) + chunk.length)
        const mine = ['a', 'b', 'c', 'd'].map(each => sent.get(each) ?? 0)
        if (Math.min(...mine) > 0 && Math.max(...mine) < 1_000_000)
          spread.push(Math.max(...mine) - Math.min(...mine))
      })
    }
    await time.run(
      Promise.all([
        ...['a', 'b', 'c', 'd'].map(name => transfer(name, '192.0.2.1')),
        transfer('other', '192.0.2.2').then(() => assert.ok((sent.get('a') ?? 0) < 500_000)),
      ]),
    )
    assert.ok(spread.length > 10)
    // The first slices are of the burst, before the others have come.
    assert.ok(Math.max(...spread) <= 100_000, String(Math.max(...spread)))
  })

  it('leaves short answers and bodies that are not there alone', async () => {
    const limit = new Bandwidth({
      bytesPerSecond: 40_000,
      now: () => 0,
      sleep: () => assert.fail('it waits'),
    })
    const bytes = randomBytes(9_000)
    for (const content of [undefined, { type: 'x', bytes }, { type: 'x', length: 9 }]) {
      const reply = content === undefined ? { status: 204 } : { status: 200, content }
      const given = await limit.around('x', () => reply)(request(Readable.from([]), 0))
      assert.deepEqual(given, reply)
    }
    const long = await limit.around('x', () => ({
      status: 200,
      content: { type: 'x', bytes: randomBytes(20_000) },
    }))(request(Readable.from([]), 0))
    assert.ok(long.content !== undefined && 'stream' in long.content && long.content.length === 20_000)
    long.content.stream.destroy()
  })
})

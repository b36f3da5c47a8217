/** Streams whose bytes can also be handed out chunk by chunk: see DirectReadable. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDomainError } from '../../../src/errors.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { BytesStream } from '../../../src/storage/streams/bytes-stream.ts'
import type { ByteSink, DirectReadable } from '../../../src/storage/streams/direct.ts'
import { DirectVerifyStream } from '../../../src/storage/streams/direct-verify.ts'
import { releaseMemory } from '../../../src/storage/streams/release-memory.ts'
import { rejectsWith } from '../../support/rejects.ts'

const what = { resource: 'blob', name: 'it' } as const

class Chunks extends Readable implements DirectReadable {
  readonly #chunks: (Buffer | Error)[]

  constructor(chunks: readonly (Buffer | Error)[]) {
    super()
    this.#chunks = [...chunks]
  }

  async copyTo(sink: ByteSink): Promise<void> {
    for await (const chunk of this) await sink(chunk)
  }

  override _read(): void {
    const next = this.#chunks.shift()
    if (next instanceof Error) this.destroy(next)
    else this.push(next ?? null)
  }
}

async function copied(stream: DirectReadable): Promise<{ readonly bytes: Buffer; readonly error: unknown }> {
  const chunks: Buffer[] = []
  const error = await stream
    .copyTo(async chunk => void chunks.push(Buffer.from(chunk)))
    .then(
      () => undefined,
      (failure: unknown) => failure,
    )
  return { bytes: Buffer.concat(chunks), error }
}

const cuts = fc.array(
  fc.uint8Array({ minLength: 1, maxLength: 200 }).map(bytes => Buffer.from(bytes)),
  {
    minLength: 1,
    maxLength: 8,
  },
)

describe('DirectVerifyStream', () => {
  const verified = (chunks: readonly (Buffer | Error)[], whole: Buffer) => {
    const source = new Chunks(chunks)
    return {
      source,
      stream: new DirectVerifyStream(source, { digest: digestOf(whole), size: whole.length, what }),
    }
  }

  it('gives the promised bytes, read or copied', async () => {
    await fc.assert(
      fc.asyncProperty(cuts, async chunks => {
        const whole = Buffer.concat(chunks)
        assert.deepEqual(await copied(verified(chunks, whole).stream), { bytes: whole, error: undefined })
        assert.deepEqual(await buffer(verified(chunks, whole).stream), whole)
      }),
      { numRuns: 50 },
    )
  })

  it('gives the last byte of no others, read or copied', async () => {
    await fc.assert(
      fc.asyncProperty(cuts, fc.nat(), async (chunks, where) => {
        const whole = Buffer.concat(chunks)
        const other = Buffer.from(whole)
        const at = where % whole.length
        other[at] = (other[at] ?? 0) ^ 1
        const { stream, source } = verified(chunks, other)
        const { bytes, error } = await copied(stream)
        assert.ok(bytes.length < whole.length)
        assert.ok(isDomainError(error, 'digest_mismatch'))
        assert.ok(stream.destroyed && source.destroyed)
        await rejectsWith('digest_mismatch', buffer(verified(chunks, other).stream))
      }),
      { numRuns: 50 },
    )
  })

  it('fails when bytes are missing, or come in excess', async () => {
    const bytes = randomBytes(10)
    for (const chunks of [[bytes.subarray(1)], [bytes, Buffer.of(1)], []])
      assert.ok(isDomainError((await copied(verified(chunks, bytes).stream)).error, 'size_mismatch'))
  })

  it('fails as its source does, before, while and after it is asked', async () => {
    const failure = new Error('gone')
    const bytes = randomBytes(10)
    for (const chunks of [[failure], [bytes.subarray(0, 4), failure]]) {
      assert.equal((await copied(verified(chunks, bytes).stream)).error, failure)
      await assert.rejects(buffer(verified(chunks, bytes).stream), failure)
    }
    const { source, stream } = verified([bytes], bytes)
    source.destroy(failure)
    assert.equal((await copied(stream)).error, failure)
  })

  it('lets go of its source when it is not wanted, or when nobody takes its bytes', async () => {
    const bytes = randomBytes(10)
    const unread = verified([bytes], bytes)
    unread.stream.destroy()
    assert.ok(unread.source.destroyed)
    const refused = verified([bytes.subarray(0, 5), bytes.subarray(5)], bytes)
    const failure = new Error('not taken')
    await assert.rejects(
      refused.stream.copyTo(async () => {
        throw failure
      }),
      failure,
    )
    assert.ok(refused.source.destroyed)
  })
})

describe('BytesStream', () => {
  it('gives its bytes, and to readers a copy of them', async () => {
    for (const size of [0, 1, 100_000]) {
      const bytes = randomBytes(size)
      const before = Buffer.from(bytes)
      assert.deepEqual(await copied(new BytesStream(bytes)), { bytes, error: undefined })
      for await (const chunk of new BytesStream(bytes)) chunk.fill(0)
      assert.deepEqual(bytes, before)
      assert.deepEqual(await buffer(new BytesStream(bytes)), bytes)
    }
  })

  it('gives nothing when it was destroyed', async () => {
    const stream = new BytesStream(randomBytes(10)).on('error', () => {})
    stream.destroy(new Error('gone'))
    const { bytes, error } = await copied(stream)
    assert.equal(bytes.length, 0)
    assert.match(String(error), /gone/)
  })
})

describe('releaseMemory', () => {
  it('gives memory back that is a chunk’s alone', () => {
    const chunk = Buffer.allocUnsafeSlow(64 * 1024)
    releaseMemory(chunk)
    assert.equal(chunk.length, 0)
  })

  it('leaves alone what is a piece of something larger, shared, or small', () => {
    const large = Buffer.allocUnsafeSlow(64 * 1024)
    for (const chunk of [large.subarray(1), large.subarray(0, -1), Buffer.alloc(100), Buffer.from('abc')]) {
      const { length } = chunk
      releaseMemory(chunk)
      assert.equal(chunk.length, length)
    }
    const shared = Buffer.from(new SharedArrayBuffer(64 * 1024))
    releaseMemory(shared)
    assert.equal(shared.length, 64 * 1024)
  })
})

import assert from 'node:assert/strict'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DomainError, type ErrorCode } from '../../../src/errors.ts'
import { type DigestAlgorithm, digestOf } from '../../../src/storage/digest.ts'
import { VerifyStream } from '../../../src/storage/streams/verify.ts'

const text = Buffer.from('sediment')
const what = { resource: 'layer', name: 'layer 3' } as const

describe('VerifyStream', () => {
  it('passes the promised bytes on, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }),
        fc.constantFrom<DigestAlgorithm>('sha256', 'sha512'),
        async (chunks, algorithm) => {
          const whole = Buffer.concat(chunks)
          const verify = new VerifyStream({ digest: digestOf(whole, algorithm), size: whole.length, what })
          assert.deepEqual(await readThrough(verify, chunks), whole)
          assert.equal(verify.bytes, whole.length)
        },
      ),
      { numRuns: 50 },
    )
  })

  it('needs no size', async () => {
    assert.deepEqual(await readThrough(new VerifyStream({ digest: digestOf(text), what }), [text]), text)
  })

  it('fails at the end when the digest differs, naming the thing', async () => {
    const verify = new VerifyStream({ digest: digestOf(Buffer.from('other')), size: text.length, what })
    await assert.rejects(readThrough(verify, [text]), error => {
      assert.ok(isMismatch(error, 'digest_mismatch'))
      assert.match(error.message, /layer 3/)
      assert.deepEqual({ ...error.details }, what)
      return true
    })
  })

  it('fails when bytes are missing', async () => {
    const verify = new VerifyStream({ digest: digestOf(text), size: text.length, what })
    await assert.rejects(readThrough(verify, [text.subarray(1)]), error => isMismatch(error, 'size_mismatch'))
  })

  it('fails as soon as there are too many bytes, without waiting for the end', async () => {
    const endless = Readable.from(
      (function* () {
        for (;;) yield text
      })(),
    )
    const verify = new VerifyStream({ digest: digestOf(text), size: 100, what })
    const sink = new Writable({ write: (_chunk, _encoding, done) => done() })
    await assert.rejects(pipeline(endless, verify, sink), error => isMismatch(error, 'size_mismatch'))
    assert.ok(endless.destroyed)
  })
})

async function readThrough(verify: VerifyStream, chunks: readonly Uint8Array[]): Promise<Buffer> {
  const seen: Buffer[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      seen.push(chunk)
      done()
    },
  })
  await pipeline(Readable.from(chunks), verify, sink)
  return Buffer.concat(seen)
}

function isMismatch(error: unknown, code: ErrorCode): error is DomainError {
  return error instanceof DomainError && error.code === code
}

import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DomainError } from '../../../src/errors.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { BlobPart } from '../../../src/storage/remote/blob-part.ts'
import { ResumedBlob } from '../../../src/storage/remote/resumed-blob.ts'
import { SentBytes, SentPiece } from '../../../src/storage/remote/sent-bytes.ts'

const contents = fc.uint8Array({ minLength: 1, maxLength: 400 }).map(bytes => Buffer.from(bytes))

/** In chunks of these sizes, again and again. */
function chunked(bytes: Buffer, sizes: readonly number[]): Readable {
  const chunks: Buffer[] = []
  for (let at = 0, index = 0; at < bytes.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1
    chunks.push(Buffer.from(bytes.subarray(at, at + size)))
    at += size
  }
  return Readable.from(chunks, { objectMode: false })
}

const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 })

describe('Pieces of a blob', () => {
  it('are those bytes that were asked for', () =>
    fc.assert(
      fc.asyncProperty(
        contents,
        sizes,
        fc.nat(500),
        fc.integer({ min: 1, max: 500 }),
        async (bytes, chunks, skip, take) => {
          const wanted = bytes.subarray(skip, skip + take)
          const fits = skip + take <= bytes.length
          const isWhole = skip + take === bytes.length
          const part = new BlobPart(chunked(bytes, chunks), {
            skip,
            take,
            isWhole,
            mismatch: what => new Error(what),
          })
          if (fits) assert.deepEqual(await buffer(part), Buffer.from(wanted))
          else await assert.rejects(buffer(part), /fewer/)
        },
      ),
      { numRuns: 200 },
    ))

  it('are all that come after those that were not wanted, where nobody knows how many', () =>
    fc.assert(
      fc.asyncProperty(contents, sizes, fc.nat(500), async (bytes, chunks, skip) => {
        const mismatch = (what: string): Error => new Error(what)
        const part = new BlobPart(chunked(bytes, chunks), { skip, take: undefined, isWhole: true, mismatch })
        assert.deepEqual(await buffer(part), bytes.subarray(skip))
      }),
    ))

  it('that are sent, some of them again, are hashed once', () =>
    fc.assert(
      fc.asyncProperty(
        contents,
        sizes,
        fc.array(fc.nat(400), { maxLength: 5 }),
        async (bytes, chunks, stands) => {
          const sent = new SentBytes({ digest: digestOf(bytes), size: bytes.length }, 'there')
          let offset = 0
          for (const end of [...stands.map(stand => Math.min(stand, bytes.length)), bytes.length]) {
            if (end < offset) {
              // The registry has kept less than it was sent.
              offset = end
              continue
            }
            const isLast = end === bytes.length
            const piece = new SentPiece(sent, offset, { isLast, onPassed: () => {} })
            const part = chunked(bytes.subarray(offset, end), chunks).pipe(piece)
            assert.deepEqual(await buffer(part), bytes.subarray(offset, end))
            offset = end
          }
          assert.equal(sent.hashed, bytes.length)
        },
      ),
      { numRuns: 200 },
    ))

  it('are put together wherever they broke off', () =>
    fc.assert(
      fc.asyncProperty(
        contents,
        sizes,
        fc.array(fc.nat(100), { maxLength: 4 }),
        async (bytes, chunks, lengths) => {
          let opened = 0
          const open = (offset: number): Readable => {
            const length = lengths[opened]
            opened += 1
            const rest = bytes.subarray(offset)
            return length === undefined || length >= rest.length
              ? chunked(rest, chunks)
              : Readable.from(breakingOff(chunked(rest.subarray(0, length), chunks)), { objectMode: false })
          }
          const blob = new ResumedBlob({
            first: open(0),
            offset: 0,
            reopen: async offset => open(offset),
            sleep: () => Promise.resolve(),
          })
          assert.deepEqual(await buffer(blob), bytes)
        },
      ),
      { numRuns: 200 },
    ))
})

async function* breakingOff(source: Readable): AsyncGenerator<Buffer> {
  for await (const chunk of source) yield chunk as Buffer
  // What was given is taken first.
  await new Promise(resolve => setImmediate(resolve))
  throw new DomainError('unavailable', 'It broke off.', { resource: 'registry' })
}

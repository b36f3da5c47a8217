import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { backends, TestBlobStore, testSettings } from '../../support/blob-store.ts'
import { freshRepository } from '../../support/records.ts'

const { partSizeBytes, saveEveryBytes, leaseMs } = testSettings

for (const backend of Object.keys(backends))
  describe(`A long body (${backend})`, () => {
    it('is saved while it comes, so that a writer that is cut off loses little', async () => {
      const opened = await TestBlobStore.open(backend)
      try {
        const repository = freshRepository()
        const bytes = randomBytes(3 * saveEveryBytes)
        const writer = await opened.blobs.repository(repository).create()
        const seen: number[] = []
        // Of the writer that falls silent here only what is saved is left.
        const cut = 2 * saveEveryBytes + 10 * partSizeBytes
        const silent = Promise.withResolvers<void>()
        const body = async function* () {
          for (let at = 0; at < cut; at += partSizeBytes) {
            seen.push((await opened.metadata.getUpload(repository, writer.id)).offset)
            yield bytes.subarray(at, at + partSizeBytes)
          }
          silent.resolve()
          await new Promise(() => {})
        }
        const stream = Readable.from(body(), { highWaterMark: 1 })
        // Its writer may have noticed before that it was cut off.
        stream.on('error', () => {})
        const cutOff = assert.rejects(writer.write(stream))
        await silent.promise
        assert.ok(
          seen.every((offset, chunk) => chunk * partSizeBytes - offset <= saveEveryBytes + 4 * partSizeBytes),
          seen.join(', '),
        )
        // Not with each part.
        assert.ok(new Set(seen).size <= 4, seen.join(', '))

        opened.advance(leaseMs + 1)
        const next = opened.replica.repository(repository)
        {
          await using taken = await next.resume(writer.id)
          assert.ok(taken.offset >= cut - saveEveryBytes - 5 * partSizeBytes, `${taken.offset} of ${cut}`)
          await taken.write(Readable.from([bytes.subarray(taken.offset)]))
          await taken.commit({ digest: digestOf(bytes) })
        }
        const stored = await next.open(digestOf(bytes))
        assert.ok((await buffer(stored.stream)).equals(bytes))
        stream.destroy(new Error('cut off'))
        await cutOff
      } finally {
        await opened.close()
      }
    })
  })

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { isDomainError } from '../../../src/errors.ts'
import type { RepositoryBlobs, UploadId } from '../../../src/storage/blobs/blob-store.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import type { ObjectStore } from '../../../src/storage/objects/object-store.ts'
import { backends, TestBlobStore, testSettings } from '../../support/blob-store.ts'
import { Gate } from '../../support/gate.ts'
import { interceptMetadata, interceptObjects } from '../../support/intercepted.ts'
import { freshRepository } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'

const { partSizeBytes, leaseMs, uploadTtlMs } = testSettings

/** Where a writer can hang while another one takes over, does the rest and commits. */
const moments: readonly { readonly method: string; readonly nth: number; readonly size: number }[] = [
  ...[1, 2, 3].map(nth => ({ method: 'uploadPart', nth, size: 4 * partSizeBytes })),
  { method: 'createMultipart', nth: 1, size: 4 * partSizeBytes },
  { method: 'complete', nth: 1, size: 4 * partSizeBytes + 7 },
  { method: 'put', nth: 1, size: 4 * partSizeBytes + 7 },
  { method: 'put', nth: 1, size: 100 },
  { method: 'put', nth: 1, size: 0 },
  { method: 'saveUpload', nth: 1, size: 3 * partSizeBytes },
  { method: 'saveUpload', nth: 2, size: 3 * partSizeBytes },
]

for (const backend of Object.keys(backends))
  describe(`A writer that hangs for longer than its lease (${backend})`, () => {
    for (const { method, nth, size } of moments)
      for (const wakes of ['before', 'after'] as const)
        it(`in ${method} ${nth} of ${size} bytes, and wakes ${wakes} the next one commits, changes nothing`, async () => {
          const gate = new Gate(method, nth)
          const opened = await TestBlobStore.open(backend, ({ objects, metadata }) => ({
            objects: interceptObjects(objects, gate.around),
            metadata: interceptMetadata(metadata, gate.around),
          }))
          try {
            const repository = freshRepository()
            const slow = opened.blobs.repository(repository)
            const next = opened.replica.repository(repository)
            const writer = await slow.create()
            const stale = randomBytes(size)
            const late = writer
              .write(Readable.from([stale]))
              .then(() => writer.commit({ digest: digestOf(stale) }))
              .catch((error: unknown) => assert.ok(isDomainError(error), String(error)))
            await gate.reached

            opened.advance(leaseMs + 1)
            await using taken = await next.resume(writer.id)
            const kept = stale.subarray(0, taken.offset)
            const rest = randomBytes(5 * partSizeBytes + 3 - kept.length)
            const whole = Buffer.concat([kept, rest])
            await taken.write(Readable.from([rest]), { at: taken.offset })
            if (wakes === 'before') {
              gate.open()
              await late
            }
            const isReplaced = backend === 'shared uploads' && method === 'uploadPart' && wakes === 'before'
            if (isReplaced) await rejectsAsGone(taken.commit({ digest: digestOf(whole) }))
            else await taken.commit({ digest: digestOf(whole) })
            gate.open()
            await late
            await writer[Symbol.asyncDispose]()
            const isThere = async () => {
              if (isReplaced) await rejectsWith('not_found', next.stat(digestOf(whole)))
              else assert.ok((await read(next, whole)).equals(whole), 'the blob has changed')
            }
            await isThere()
            opened.advance(uploadTtlMs + leaseMs + 1)
            const { objects, unfinished } = await opened.sweep()
            assert.deepEqual([objects, unfinished], [isReplaced ? 0 : 1, 0])
            await isThere()
          } finally {
            gate.open()
            await opened.close()
          }
        })
  })

for (const backend of Object.keys(backends))
  it(`A writer that hangs, and wakes when its client has sent the same bytes again, spoils nothing (${backend})`, async () => {
    const gate = new Gate('uploadPart', 2)
    const opened = await TestBlobStore.open(backend, ({ objects, metadata }) => ({
      objects: interceptObjects(objects, gate.around),
      metadata,
    }))
    try {
      const repository = freshRepository()
      const next = opened.replica.repository(repository)
      const writer = await opened.blobs.repository(repository).create()
      const whole = randomBytes(4 * partSizeBytes + 7)
      const late = writer.write(Readable.from([whole])).catch(() => undefined)
      await gate.reached
      opened.advance(leaseMs + 1)
      await using taken = await next.resume(writer.id)
      await taken.write(Readable.from([whole.subarray(taken.offset)]))
      gate.open()
      await late
      await taken.commit({ digest: digestOf(whole) })
      assert.ok((await read(next, whole)).equals(whole))
    } finally {
      gate.open()
      await opened.close()
    }
  })

for (const backend of Object.keys(backends))
  it(`A session that was cut off in its first part, and becomes a small blob, leaves no parts (${backend})`, async () => {
    const gate = new Gate('uploadPart', 1)
    const opened = await TestBlobStore.open(backend, ({ objects, metadata }) => ({
      objects: interceptObjects(objects, gate.around),
      metadata,
    }))
    try {
      const repository = freshRepository()
      const writer = await opened.blobs.repository(repository).create()
      const late = writer.write(Readable.from([randomBytes(4 * partSizeBytes)])).catch(() => undefined)
      await gate.reached
      opened.advance(leaseMs + 1)
      await using next = await opened.replica.repository(repository).resume(writer.id)
      const small = randomBytes(100)
      await next.write(Readable.from([small]))
      await next.commit({ digest: digestOf(small) })
      gate.open()
      await late
      const { objects, unfinished } = await opened.sweep()
      assert.deepEqual([objects, unfinished], [1, 0])
    } finally {
      gate.open()
      await opened.close()
    }
  })

it('A writer of nothing that wakes too late puts it over no bytes, whatever the store makes of conditions', async () => {
  const gate = new Gate('put', 1)
  const opened = await TestBlobStore.open('memory', ({ objects, metadata }) => {
    const careless: ObjectStore = {
      ...interceptObjects(objects, gate.around),
      put: (key, bytes) => gate.around('put', () => objects.put(key, bytes)),
    }
    return { objects: careless, metadata }
  })
  try {
    const repository = freshRepository()
    const [blobs, replica] = [opened.blobs.repository(repository), opened.replica.repository(repository)]
    const writer = await blobs.create()
    const late = writer.commit({ digest: digestOf(Buffer.alloc(0)) })
    await gate.reached
    opened.advance(leaseMs + 1)
    const bytes = randomBytes(3 * partSizeBytes + 7)
    await using next = await replica.resume(writer.id)
    await next.write(Readable.from([bytes]))
    await next.commit({ digest: digestOf(bytes) })
    gate.open()
    await rejectsWith('conflict', late)
    assert.ok((await read(replica, bytes)).equals(bytes))
    assert.deepEqual(await opened.sweep(), { objects: 1, unfinished: 0 })
  } finally {
    gate.open()
    await opened.close()
  }
})

for (const backend of Object.keys(backends))
  describe(`A session whose commit broke off at its last step (${backend})`, () => {
    const bytes = randomBytes(3 * partSizeBytes + 1)
    const digest = digestOf(bytes)

    async function withBrokenCommit(test: (blobs: RepositoryBlobs, id: UploadId) => Promise<void>) {
      const gate = new Gate('commitBlob', 1)
      const opened = await TestBlobStore.open(backend, ({ objects, metadata }) => ({
        objects,
        metadata: interceptMetadata(metadata, gate.around),
      }))
      try {
        const repository = freshRepository()
        const writer = await opened.blobs.repository(repository).create()
        await writer.write(Readable.from([bytes]))
        const late = writer.commit({ digest }).catch(() => undefined)
        await gate.reached
        opened.advance(leaseMs + 1)
        await test(opened.replica.repository(repository), writer.id)
        gate.open()
        await late
      } finally {
        gate.open()
        await opened.close()
      }
    }

    it('can be committed by the next writer', async () => {
      await withBrokenCommit(async (blobs, id) => {
        await using next = await blobs.resume(id)
        await next.commit({ digest })
        assert.ok((await read(blobs, bytes)).equals(bytes))
      })
    })

    it('cannot be continued, and says so as a session that is gone does', async () => {
      await withBrokenCommit(async (blobs, id) => {
        await using next = await blobs.resume(id)
        await rejectsAsGone(next.write(Readable.from([randomBytes(2 * partSizeBytes)])))
        await rejectsWith('not_found', blobs.stat(digest))
      })
    })
  })

async function rejectsAsGone(attempt: Promise<unknown>): Promise<void> {
  assert.equal((await rejectsWith('not_found', attempt)).details.resource, 'upload')
}

async function read(blobs: RepositoryBlobs, whole: Buffer): Promise<Buffer> {
  return buffer((await blobs.open(digestOf(whole))).stream)
}

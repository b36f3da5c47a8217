import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { RepositoryBlobs } from '../../../src/storage/blobs/blob-store.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { TestBlobStore, testSettings } from '../../support/blob-store.ts'
import { type CountingObjectStore, countingObjectStore } from '../../support/counting-object-store.ts'
import { freshRepository } from '../../support/records.ts'

const { partSizeBytes } = testSettings

describe('Calls to the object store', () => {
  let opened: TestBlobStore
  let counting: CountingObjectStore
  let blobs: RepositoryBlobs
  beforeEach(async () => {
    opened = await TestBlobStore.open('memory', ({ objects, metadata }) => {
      counting = countingObjectStore(objects)
      return { objects: counting.store, metadata }
    })
    blobs = opened.blobs.repository(freshRepository())
  })
  afterEach(() => opened.close())

  async function push(bytes: Buffer, into = blobs) {
    await using writer = await into.create()
    await writer.write(Readable.from([bytes]))
    return await writer.commit({ digest: digestOf(bytes) })
  }

  for (const size of [0, 1, partSizeBytes])
    it(`are one put for a blob of ${size} bytes`, async () => {
      await push(randomBytes(size))
      assert.deepEqual(counting.take(), { put: 1 })
    })

  it('are no more when the requests of a push go to different processes', async () => {
    const bytes = randomBytes(100)
    const begun = await blobs.create()
    await begun[Symbol.asyncDispose]()
    const patch = await blobs.resume(begun.id)
    await patch.write(Readable.from([bytes]))
    await patch[Symbol.asyncDispose]()
    await using put = await blobs.resume(begun.id)
    await put.commit({ digest: digestOf(bytes) })
    assert.deepEqual(counting.take(), { put: 1 })
  })

  it('are a call per part for a large blob, and a few', async () => {
    await push(randomBytes(5 * partSizeBytes + 1))
    const { uploadPart, createMultipart, complete, ...others } = counting.take()
    assert.deepEqual(
      { uploadPart, createMultipart, complete },
      { uploadPart: 6, createMultipart: 1, complete: 1 },
    )
    assert.deepEqual(others, { put: 1, resumeMultipart: 1, get: 1, delete: 1 })
  })

  it('are a call per part and two, for a blob that fills its last part', async () => {
    await push(randomBytes(5 * partSizeBytes))
    assert.deepEqual(counting.take(), {
      createMultipart: 1,
      uploadPart: 5,
      resumeMultipart: 1,
      complete: 1,
    })
  })

  it('are none to see whether a blob is there, and one to read it', async () => {
    const { digest } = await push(randomBytes(10))
    counting.take()
    await blobs.stat(digest)
    await opened.blobs
      .repository(freshRepository())
      .stat(digest)
      .catch(() => undefined)
    assert.deepEqual(counting.take(), {})
    await buffer((await blobs.open(digest)).stream)
    assert.deepEqual(counting.take(), { get: 1 })
  })

  it('are none to mount a blob', async () => {
    const owner = freshRepository()
    const { digest } = await push(randomBytes(10), opened.blobs.repository(owner))
    counting.take()
    await blobs.link(digest, owner)
    assert.deepEqual(counting.take(), {})
  })
})

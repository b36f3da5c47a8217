import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { isDomainError } from '../../../src/errors.ts'
import type { BlobWriter, RepositoryBlobs, UploadId } from '../../../src/storage/blobs/blob-store.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { TestBlobStore, testSettings } from '../../support/blob-store.ts'
import { Fault, type FaultMoment } from '../../support/faulty-object-store.ts'
import { interceptMetadata, interceptObjects } from '../../support/intercepted.ts'
import { freshRepository } from '../../support/records.ts'

const { partSizeBytes, leaseMs, uploadTtlMs } = testSettings
const attempts = 8

/** Bytes of each write of one push. */
const pushes: Readonly<Record<string, readonly number[]>> = {
  'an empty blob': [0],
  'a small blob': [100],
  'a blob in small chunks': [100, 200, 0, 300],
  'a large blob': [3 * partSizeBytes + 100],
  'a large blob in chunks': [partSizeBytes + 10, 2 * partSizeBytes, 5],
}

for (const target of ['object store', 'metadata'] as const)
  for (const moment of ['before', 'after'] as const)
    describe(`When the ${target} fails ${moment} doing its work`, () => {
      for (const [name, sizes] of Object.entries(pushes))
        it(`${name} is pushed all the same, and nothing is left behind`, async () => {
          for (let nth = 1; (await struckBy(target, nth, moment, sizes)) !== undefined; nth++)
            assert.ok(nth < 100, 'the fault strikes for ever')
        })
    })

/** Pushes a blob while the n-th call fails, checks everything, and says which call that was, if there were n. */
async function struckBy(
  target: 'object store' | 'metadata',
  nth: number,
  moment: FaultMoment,
  sizes: readonly number[],
): Promise<string | undefined> {
  const fault = new Fault(nth, moment)
  const opened = await TestBlobStore.open('memory', ({ objects, metadata }) =>
    target === 'metadata'
      ? { objects, metadata: interceptMetadata(metadata, fault.around) }
      : { objects: interceptObjects(objects, fault.around), metadata },
  )
  try {
    const repository = freshRepository()
    const chunks = sizes.map(size => randomBytes(size))
    const whole = Buffer.concat(chunks)
    const sound = opened.replica.repository(repository)
    await pushUntilDone(opened, opened.blobs.repository(repository), chunks, () => checkVisible(sound, whole))
    fault.disarm()

    assert.ok(await checkVisible(sound, whole), `acknowledged, then lost after ${fault.struck}`)
    opened.advance(uploadTtlMs + leaseMs + 1)
    assert.deepEqual(await opened.sweep(), { objects: 1, unfinished: 0 }, `after ${fault.struck}`)
    assert.ok(await checkVisible(sound, whole), 'the sweep has taken a blob')
    return fault.struck
  } finally {
    await opened.close()
  }
}

/** A client that does what clients do: it asks where the session stands and goes on, or starts again. */
async function pushUntilDone(
  opened: TestBlobStore,
  blobs: RepositoryBlobs,
  chunks: readonly Buffer[],
  afterEach: () => Promise<unknown>,
): Promise<void> {
  const digest = digestOf(Buffer.concat(chunks))
  let id: UploadId | undefined
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      id ??= await begin(blobs)
      for (const chunk of remaining(chunks, (await blobs.status(id)).offset))
        await within(blobs, id, writer => writer.write(Readable.from([chunk]), { at: writer.offset }))
      await within(blobs, id, writer => writer.commit({ digest }))
      return
    } catch (error) {
      assert.ok(isDomainError(error), String(error))
      // A session that has vanished is begun anew, and a lease that was never given back runs out.
      if (isDomainError(error, 'not_found')) id = undefined
      else opened.advance(leaseMs + 1)
      await afterEach()
    }
  }
  assert.fail(`not done after ${attempts} attempts`)
}

async function begin(blobs: RepositoryBlobs): Promise<UploadId> {
  await using writer = await blobs.create()
  return writer.id
}

async function within(
  blobs: RepositoryBlobs,
  id: UploadId,
  work: (writer: BlobWriter) => Promise<unknown>,
): Promise<void> {
  await using writer = await blobs.resume(id)
  await work(writer)
}

function remaining(chunks: readonly Buffer[], offset: number): Buffer[] {
  let start = 0
  return chunks.flatMap(chunk => {
    const skipped = Math.min(chunk.length, Math.max(0, offset - start))
    start += chunk.length
    return skipped === chunk.length && chunk.length > 0 ? [] : [chunk.subarray(skipped)]
  })
}

/** Whether the blob can be read; what can be read must be right. */
async function checkVisible(blobs: RepositoryBlobs, whole: Buffer): Promise<boolean> {
  try {
    const { stream } = await blobs.open(digestOf(whole))
    assert.ok((await buffer(stream)).equals(whole), 'something else than was pushed became visible')
    return true
  } catch (error) {
    if (isDomainError(error, 'not_found')) return false
    throw error
  }
}

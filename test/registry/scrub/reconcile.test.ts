import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { type ReconcileReport, reconcile } from '../../../src/registry/scrub/reconcile.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { newObjectKey } from '../../../src/storage/objects/keys.ts'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import { openSqliteTwice } from '../../support/open-metadata.ts'
import { freshRepository, newUpload } from '../../support/records.ts'

describe('Reconciling', () => {
  it('compares rows and objects both ways, however much is missing', async () => {
    const opened = await openSqliteTwice(Date.now)
    const { metadata } = opened
    const objects = new MemoryObjectStore()
    const repository = freshRepository()
    const push = async (bytes: Buffer) => {
      const upload = newUpload(repository, Date.now())
      await metadata.createUpload(upload)
      await objects.put(upload.objectKey, bytes)
      const digest = digestOf(bytes)
      return await metadata.commitBlob({ ...upload, digest, size: bytes.length, uploadId: upload.id })
    }
    const texts = Array.from({ length: 60 }, () => randomBytes(40))
    const blobs = []
    for (const bytes of texts) blobs.push(await push(bytes))
    await objects.delete(blobs.slice(0, 50).map(({ objectKey }) => objectKey))
    await objects.put(blobs[50]?.objectKey ?? assert.fail(), randomBytes(39))
    // The store kept some of them under other names.
    for (const bytes of texts.slice(0, 10)) await objects.put(newObjectKey(), bytes)
    const unknown = randomBytes(40)
    await objects.put(newObjectKey(), unknown)

    const told: ReconcileReport[] = []
    const report = await reconcile(
      { records: metadata, objects },
      { pauseMs: 0, onProgress: each => told.push(each) },
    )
    assert.deepEqual(report, {
      blobs: 60,
      objects: 21,
      missing: 50,
      corrupt: 1,
      healed: 10,
      strays: 1,
      unsettled: 0,
    })
    assert.deepEqual(told.at(-1), report)
    assert.equal((await metadata.listFaults(undefined, 100)).length, 41)
    const [stray] = await metadata.listStrays(undefined, 10)
    assert.equal(stray?.digest, digestOf(unknown))
    // Once more, it finds the same and does nothing.
    const again = await reconcile({ records: metadata, objects }, { pauseMs: 0 })
    assert.deepEqual([again.missing, again.corrupt, again.healed, again.strays], [0, 0, 0, 0])
    assert.deepEqual(await metadata.listGarbage(100), [])

    // What was there by then is healed by the object that is known already.
    await objects.delete([blobs[55]?.objectKey ?? assert.fail()])
    await objects.put(newObjectKey(), texts[55] ?? assert.fail())
    const third = await reconcile({ records: metadata, objects }, { pauseMs: 0 })
    assert.deepEqual([third.missing, third.healed, third.strays], [1, 1, 0])
    await assert.rejects(
      reconcile({ records: metadata, objects }, { signal: AbortSignal.abort(new Error('gone')) }),
      { message: 'gone' },
    )
    await opened.close()
  })
})

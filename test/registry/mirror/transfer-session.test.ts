import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { openTransfer, type TransferBlobs } from '../../../src/registry/mirror/transfer-session.ts'
import { newUploadId } from '../../../src/storage/blobs/upload-id.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { uploadBusy } from '../../../src/storage/metadata/upload-errors.ts'
import { freshRepository } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'

const blob = { digest: digestOf(Buffer.from('blob')), size: 1000 }
const id = newUploadId()
const times = { waitMs: 3, retryMs: 1, longestPauseMs: 1 }

/** Another process holds the session, which stands at these offsets, one after another. */
function heldAt(offsets: readonly number[], stored = Number.POSITIVE_INFINITY) {
  let looks = 0
  const absent = new DomainError('not_found', 'It is not there.', { resource: 'blob' })
  const blobs: TransferBlobs = {
    create: () => assert.fail('a second session'),
    resume: () => Promise.reject(uploadBusy(id)),
    status: async () => ({ id, offset: offsets[Math.min(looks++, offsets.length - 1)] ?? 0 }),
    stat: () => (looks >= stored ? Promise.resolve(blob) : Promise.reject(absent)),
  }
  const records = {
    findTransfer: async () => id,
    noteTransfer: () => assert.fail('a second session'),
    forgetTransfer: () => assert.fail('a second session'),
  }
  const place = { repository: freshRepository(), blobs, records, times }
  return { open: () => openTransfer(place, blob, {}), looks: () => looks }
}

describe('A session that another process holds', () => {
  it('is waited for as long as it gets on', async () => {
    const held = heldAt([...Array(20).keys()])
    await rejectsWith('busy', held.open())
    assert.equal(held.looks(), 23)
  })

  it('is not needed any more when the blob has come another way', async () => {
    const held = heldAt([...Array(20).keys()], 10)
    assert.equal(await held.open(), undefined)
    assert.equal(held.looks(), 10)
  })
})

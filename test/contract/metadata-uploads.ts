import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type AccountName, parseAccountName } from '../../src/storage/accounts/names.ts'
import type { UploadId } from '../../src/storage/blobs/blob-store.ts'
import { createResumableDigester, digestOf } from '../../src/storage/digest.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import type { NewUpload, UploadProgress } from '../../src/storage/metadata/upload-records.ts'
import { newObjectKey } from '../../src/storage/objects/keys.ts'
import { commitText, freshRepository, newUpload } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { TestClock } from './metadata.ts'

/** The part of the contract that is about upload sessions and what they leave behind. */
export function metadataUploadContract(opened: () => Metadata, clock: TestClock): void {
  async function begin(change?: Partial<NewUpload>) {
    const metadata = opened()
    const upload = newUpload(freshRepository(), clock.time, change)
    return { metadata, upload, record: await metadata.createUpload(upload) }
  }

  function progressOf(upload: NewUpload, change?: Partial<UploadProgress>): UploadProgress {
    return {
      offset: 0,
      multipartToken: null,
      parts: [],
      tail: null,
      nextTailKey: upload.nextTailKey,
      hashState: null,
      digestAtOffset: null,
      expiresAt: upload.expiresAt,
      ...change,
    }
  }

  const inAMinute = () => new Date(clock.time + 60_000)

  describe('upload sessions', () => {
    it('begin empty', async () => {
      const { metadata, upload, record } = await begin({ algorithm: 'sha512' })
      assert.deepEqual(await metadata.getUpload(upload.repository, upload.id), record)
      const { holder: _, leaseUntil: __, ...kept } = upload
      assert.deepEqual(record, { ...progressOf(upload), ...kept, committed: null, account: null })
    })

    it('remember how far they have come', async () => {
      const { metadata, upload } = await begin()
      const digester = createResumableDigester('sha256')
      digester.update(Buffer.from('some bytes'))
      const progress = progressOf(upload, {
        offset: 2100,
        multipartToken: 'token',
        parts: [
          { number: 1, size: 1024, etag: '"one"' },
          { number: 2, size: 1024, etag: '"two"' },
        ],
        tail: {
          objectKey: newObjectKey(),
          size: Number.MAX_SAFE_INTEGER,
          digest: digestOf(Buffer.from('tail')),
        },
        nextTailKey: null,
        hashState: digester.save(),
        digestAtOffset: digester.digest(),
        expiresAt: new Date(clock.time + 7_200_000),
      })
      await metadata.saveUpload(upload.id, upload.holder, progress)
      const record = await metadata.getUpload(upload.repository, upload.id)
      assert.deepEqual(record, { ...record, ...progress })
    })

    it('are found by their own repository only, and until they expire', async () => {
      const { metadata, upload } = await begin({ expiresAt: new Date(clock.time + 1000) })
      const error = await rejectsWith('not_found', metadata.getUpload(freshRepository(), upload.id))
      assert.equal(error.details.resource, 'upload')
      clock.time += 1001
      await rejectsWith('not_found', metadata.getUpload(upload.repository, upload.id))
      await rejectsWith('not_found', lease(metadata, upload, 'holder'))
    })

    it('are leased to no other account than the one that began them', async () => {
      const [alice, bob] = [parseAccountName('alice'), parseAccountName('bob')]
      const { metadata, upload, record } = await begin({ account: alice })
      assert.equal(record.account, alice)
      const leaseAs = (account: AccountName | null | undefined) =>
        metadata.leaseUpload(upload.repository, upload.id, { holder: 'other', until: inAMinute(), account })
      for (const account of [bob, null]) await rejectsWith('not_found', leaseAs(account))
      await rejectsWith('busy', leaseAs(alice))
      await metadata.releaseUpload(upload.id, upload.holder)
      for (const account of [bob, null]) await rejectsWith('not_found', leaseAs(account))
      assert.equal((await leaseAs(alice)).account, alice)

      const nobodys = await begin({ account: null })
      await metadata.releaseUpload(nobodys.upload.id, nobodys.upload.holder)
      const { id, repository } = nobodys.upload
      const leased = await metadata.leaseUpload(repository, id, {
        holder: 'other',
        until: inAMinute(),
        account: bob,
      })
      assert.equal(leased.account, null)
    })

    it('have one writer at a time, until it lets go or falls silent', async () => {
      const { metadata, upload } = await begin()
      await rejectsWith('busy', lease(metadata, upload, 'other'))
      await lease(metadata, upload, upload.holder)
      await metadata.releaseUpload(upload.id, 'other')
      await rejectsWith('busy', lease(metadata, upload, 'other'))
      await metadata.releaseUpload(upload.id, upload.holder)
      await lease(metadata, upload, 'other')

      clock.time += 60_001
      await lease(metadata, upload, 'third')
      await rejectsWith('conflict', metadata.saveUpload(upload.id, 'other', progressOf(upload)))
      await metadata.saveUpload(upload.id, 'third', progressOf(upload))
    })

    it('are not kept by a writer whose clock was wrong when it took them', async () => {
      const { metadata, upload } = await begin()
      await lease(metadata, upload, upload.holder)
      const back = clock.time
      try {
        clock.time += 4 * 60_000
        await lease(metadata, upload, 'slightly ahead')
        clock.time = back
        await rejectsWith('busy', lease(metadata, upload, 'other'))
        clock.time += 30 * 60_000
        await lease(metadata, upload, 'far ahead')
      } finally {
        clock.time = back
      }
      assert.equal((await lease(metadata, upload, 'other')).isTakenOver, true)
      await rejectsWith('conflict', metadata.saveUpload(upload.id, 'far ahead', progressOf(upload)))
      await metadata.saveUpload(upload.id, 'other', progressOf(upload))
    })

    it('tell their next writer when the last one never let go', async () => {
      const { metadata, upload } = await begin()
      assert.equal((await lease(metadata, upload, upload.holder)).isTakenOver, false)
      await metadata.releaseUpload(upload.id, upload.holder)
      assert.equal((await lease(metadata, upload, 'second')).isTakenOver, false)
      clock.time += 60_001
      assert.equal((await lease(metadata, upload, 'second')).isTakenOver, false)
      clock.time += 60_001
      assert.equal((await lease(metadata, upload, 'third')).isTakenOver, true)
    })

    it('are not renewed by a writer that another one has followed, even when that one is gone', async () => {
      const { metadata, upload } = await begin()
      const renewal = { holder: upload.holder, until: inAMinute(), isRenewal: true }
      const renew = () => metadata.leaseUpload(upload.repository, upload.id, renewal)
      await renew()
      clock.time += 60_001
      await renew()
      clock.time += 60_001
      await lease(metadata, upload, 'second')
      await rejectsWith('conflict', renew())
      await metadata.releaseUpload(upload.id, 'second')
      await rejectsWith('conflict', renew())
    })

    it('are known by the tokens of their multipart uploads', async () => {
      const { metadata, upload } = await begin()
      const [mine, other] = [newObjectKey(), newObjectKey()]
      await metadata.saveUpload(upload.id, upload.holder, progressOf(upload, { multipartToken: mine }))
      assert.deepEqual(await metadata.knownMultiparts([other, mine]), new Set([mine]))
      assert.deepEqual(await metadata.knownMultiparts([]), new Set())
      // More than a statement of any database has room for.
      const many = Array.from({ length: 70_000 }, (_, index) => `token ${index}`)
      assert.deepEqual(await metadata.knownMultiparts([...many, mine]), new Set([mine]))
      await metadata.deleteUpload(upload.id)
      assert.deepEqual(await metadata.knownMultiparts([mine]), new Set())
    })

    it('become blobs once, and remember which', async () => {
      const { metadata, upload } = await begin()
      const { id, holder, objectKey, repository } = upload
      const digest = digestOf(Buffer.from(`blob of ${id}`))
      const commit = { digest, size: 7, objectKey, repository, uploadId: id, holder }
      await rejectsWith('conflict', metadata.commitBlob({ ...commit, holder: 'other' }))
      await rejectsWith('not_found', metadata.commitBlob({ ...commit, repository: freshRepository() }))
      const stored = await metadata.commitBlob(commit)
      assert.deepEqual(stored, { digest, size: 7, objectKey })
      assert.equal((await metadata.getUpload(repository, id)).committed, digest)
      assert.deepEqual(await metadata.commitBlob(commit), stored)
      const other = digestOf(Buffer.from('another'))
      await rejectsWith('not_found', metadata.commitBlob({ ...commit, digest: other }))
      await lease(metadata, upload, 'retry')
    })

    it('are forgotten when they are deleted', async () => {
      const { metadata, upload } = await begin()
      await metadata.deleteUpload(upload.id)
      await metadata.deleteUpload(upload.id)
      await rejectsWith('not_found', metadata.getUpload(upload.repository, upload.id))
    })

    it('are listed when they have expired and nobody writes, oldest first', async () => {
      const late = await begin({ expiresAt: new Date(clock.time - 1000), leaseUntil: new Date(clock.time) })
      const early = await begin({ expiresAt: new Date(clock.time - 2000), leaseUntil: new Date(clock.time) })
      const leased = await begin({ expiresAt: new Date(clock.time - 3000) })
      const lively = await begin({ leaseUntil: new Date(clock.time) })
      const all: UploadId[] = (await expired(late.metadata, 100)).map(({ id }) => id)
      assert.ok(all.indexOf(early.upload.id) < all.indexOf(late.upload.id))
      assert.ok(all.includes(early.upload.id))
      assert.ok(!all.includes(leased.upload.id) && !all.includes(lively.upload.id))
      assert.equal((await expired(late.metadata, 1)).length, 1)
    })

    it("are nobody else's once they are claimed, even for a clock that is behind", async () => {
      const { metadata, upload } = await begin({ leaseUntil: new Date(clock.time) })
      const { id, holder, objectKey, repository } = upload
      const claim = (time: number) => metadata.claimExpiredUpload(id, new Date(time))
      assert.equal(await claim(clock.time), undefined, 'it has not expired')
      const after = upload.expiresAt.getTime() + 1
      assert.equal((await claim(after))?.objectKey, objectKey)
      await rejectsWith('not_found', metadata.getUpload(repository, id))
      await rejectsWith('not_found', lease(metadata, upload, holder))
      const digest = digestOf(Buffer.from(id))
      await rejectsWith(
        'conflict',
        metadata.commitBlob({ digest, size: 7, objectKey, repository, uploadId: id, holder }),
      )
      assert.equal((await claim(clock.time))?.id, id, 'a sweep that was cut off is repeated')
      await metadata.deleteUpload(id)
      assert.equal(await claim(after), undefined)
    })

    it('are not claimed when somebody has gone on with them since they were listed', async () => {
      const { metadata, upload } = await begin({ leaseUntil: new Date(clock.time) })
      const after = upload.expiresAt.getTime() + 1
      // By the clock of these tests, which is behind the sweep's, there is time left.
      await metadata.leaseUpload(upload.repository, upload.id, {
        holder: 'second',
        until: new Date(after + 60_000),
      })
      assert.equal(await metadata.claimExpiredUpload(upload.id, new Date(after)), undefined)
      await metadata.getUpload(upload.repository, upload.id)
    })
  })

  describe('garbage', () => {
    const isGarbage = async (metadata: Metadata, ...keys: readonly string[]) => {
      const garbage: readonly string[] = await metadata.listGarbage(1000)
      return keys.map(key => garbage.includes(key))
    }

    it('is a tail that another one replaces', async () => {
      const { metadata, upload } = await begin()
      const first = { objectKey: upload.nextTailKey, size: 1, digest: null }
      const second = { objectKey: newObjectKey(), size: 2, digest: null }
      const save = (tail: typeof first | null) =>
        metadata.saveUpload(upload.id, upload.holder, progressOf(upload, { tail, nextTailKey: null }))
      await save(first)
      await save(first)
      assert.deepEqual(await isGarbage(metadata, first.objectKey), [false])
      await save(second)
      assert.deepEqual(await isGarbage(metadata, first.objectKey, second.objectKey), [true, false])
      await save(null)
      assert.deepEqual(await isGarbage(metadata, first.objectKey, second.objectKey), [true, true])
    })

    it('is a reserved key whose holder never let go', async () => {
      const { metadata, upload } = await begin()
      const [mine, next] = [newObjectKey(), newObjectKey()]
      const kept = await lease(metadata, upload, upload.holder, mine)
      assert.equal(kept.nextTailKey, upload.nextTailKey, 'a reserved key stays reserved')
      await metadata.releaseUpload(upload.id, upload.holder)
      assert.equal((await lease(metadata, upload, 'second', mine)).nextTailKey, upload.nextTailKey)
      clock.time += 60_001
      assert.equal((await lease(metadata, upload, 'third', next)).nextTailKey, next)
      assert.deepEqual(await isGarbage(metadata, upload.nextTailKey, mine, next), [true, false, false])
    })

    it('is what a commit does not need: not the blob, nor a key that was never written', async () => {
      const { metadata, upload } = await begin()
      const { id, holder, objectKey, repository, nextTailKey } = upload
      const tail = { objectKey: newObjectKey(), size: 1, digest: null }
      await metadata.saveUpload(id, holder, progressOf(upload, { tail }))
      const digest = digestOf(Buffer.from(id))
      await metadata.commitBlob({ digest, size: 1, objectKey, repository, uploadId: id, holder })
      assert.deepEqual(await isGarbage(metadata, tail.objectKey, objectKey, nextTailKey), [
        true,
        false,
        false,
      ])
    })

    it('is forgotten when asked', async () => {
      const { metadata } = await begin()
      const repository = freshRepository()
      await commitText(metadata, repository, 'same', clock.time)
      await commitText(metadata, repository, 'same', clock.time)
      const [key] = await metadata.listGarbage(1)
      assert.ok(key)
      const others = Array.from({ length: 1200 }, () => newObjectKey())
      await metadata.forgetGarbage([...others, key])
      await metadata.forgetGarbage([])
      assert.deepEqual(await isGarbage(metadata, key), [false])
    })
  })

  function lease(metadata: Metadata, upload: NewUpload, holder: string, nextTailKey = newObjectKey()) {
    const wanted = { holder, until: inAMinute(), nextTailKey }
    return metadata.leaseUpload(upload.repository, upload.id, wanted)
  }

  function expired(metadata: Metadata, limit: number) {
    return metadata.expiredUploads(new Date(clock.time), limit)
  }
}

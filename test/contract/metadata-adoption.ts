import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { adoptedObjectKey, newObjectKey } from '../../src/storage/objects/keys.ts'
import { parseReference, parseTag } from '../../src/storage/reference.ts'
import { commitText, freshRepository, looseManifest } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { TestClock } from './metadata.ts'

/** Content that no client pushes. */
export function metadataAdoptionContract(metadata: () => Metadata, clock: TestClock): void {
  describe('adopted blobs', () => {
    it('are known and linked, under whatever key', async () => {
      const repository = freshRepository()
      const digest = digestOf(Buffer.from(repository))
      const objectKey = adoptedObjectKey(`old/Registry/${repository}/data`) ?? assert.fail()
      const blob = { digest, size: 7, objectKey }
      assert.deepEqual(await metadata().adoptBlob({ ...blob, repository }), blob)
      assert.deepEqual(await metadata().findBlob(repository, digest), blob)
      assert.equal(await metadata().hasRepository(repository), true)
      const other = freshRepository()
      assert.deepEqual(await metadata().linkBlob({ repository: other, from: repository, digest }), blob)
    })

    it('leave an object alone that is not needed: it is not ours to delete', async () => {
      const repository = freshRepository()
      const known = await commitText(metadata(), freshRepository(), repository, clock.time)
      const objectKey = newObjectKey()
      const adopted = await metadata().adoptBlob({ digest: known.digest, size: 1, objectKey, repository })
      assert.equal(adopted.objectKey, known.objectKey)
      assert.equal((await metadata().findBlob(repository, known.digest)).objectKey, known.objectKey)
      assert.equal((await metadata().listGarbage(10_000)).includes(objectKey), false)
    })
  })

  describe('adopted tags', () => {
    const tag = parseTag('latest')
    const [older, newer] = [looseManifest('older'), looseManifest('newer')]
    const at = (seconds: number): Date => new Date(clock.time + seconds * 1000)

    const filled = async (): Promise<ReturnType<typeof freshRepository>> => {
      const repository = freshRepository()
      for (const manifest of [older, newer]) await metadata().putManifest(repository, manifest)
      return repository
    }
    const adopt = (
      repository: ReturnType<typeof freshRepository>,
      { digest }: typeof older,
      changedAt: Date,
    ) => metadata().adoptTag({ repository, tag, digest, changedAt })
    const current = async (repository: ReturnType<typeof freshRepository>): Promise<string> =>
      (await metadata().statManifest(repository, parseReference('latest'))).digest

    it('follow what changes over there', async () => {
      const repository = await filled()
      assert.equal(await adopt(repository, older, at(-100)), 'set')
      assert.equal(await adopt(repository, older, at(-50)), 'same')
      assert.equal(await adopt(repository, newer, at(-10)), 'set')
      assert.equal(await current(repository), newer.digest)
      assert.equal(await adopt(repository, older, at(-10)), 'set', 'clocks may be coarse')
      assert.equal(await adopt(repository, newer, at(-20)), 'kept')
      assert.equal(await current(repository), older.digest)
    })

    it('take back nothing that was pushed here since', async () => {
      const repository = await filled()
      await adopt(repository, older, at(-100))
      await metadata().putManifest(repository, { ...newer, tags: [tag] })
      assert.equal(await adopt(repository, older, at(-100)), 'kept')
      assert.equal(await current(repository), newer.digest)
      assert.equal(await adopt(repository, older, at(1)), 'set')
    })

    it('of a clock that runs ahead do not hinder pushes, nor what comes later over there', async () => {
      const repository = await filled()
      await adopt(repository, older, at(3600))
      await metadata().putManifest(repository, { ...newer, tags: [tag] })
      assert.equal(await current(repository), newer.digest)
      assert.equal(await adopt(repository, older, at(-1)), 'kept')
    })

    it('need their manifest', async () => {
      const repository = await filled()
      await rejectsWith('not_found', adopt(repository, looseManifest('absent'), at(0)))
      await rejectsWith('not_found', adopt(freshRepository(), older, at(0)))
    })
  })
}

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { newUploadId } from '../../src/storage/blobs/upload-id.ts'
import { digestOf } from '../../src/storage/digest.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import type { RepositoryName } from '../../src/storage/reference.ts'
import { freshRepository, newUpload } from '../support/records.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

/** The executable half of TransferRecords. */
export function transferContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`${name} as TransferRecords`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    let metadata: Metadata
    before(async () => {
      opened = await open(() => clock.time)
      metadata = opened.metadata
    })
    after(() => opened.close())

    const digest = digestOf(Buffer.from('blob'))
    const session = async (repository: RepositoryName) =>
      (await metadata.createUpload(newUpload(repository, clock.time))).id

    it('tells the session that was noted last, for each repository and digest', async () => {
      const [repository, other] = [freshRepository(), freshRepository()]
      assert.equal(await metadata.findTransfer(repository, digest), undefined)
      const [first, second, others] = [
        await session(repository),
        await session(repository),
        await session(other),
      ]
      await metadata.noteTransfer(repository, digest, first)
      await metadata.noteTransfer(repository, digest, second)
      await metadata.noteTransfer(other, digest, others)
      assert.equal(await opened.replica.findTransfer(repository, digest), second)
      assert.equal(await metadata.findTransfer(other, digest), others)
      assert.equal(await metadata.findTransfer(repository, digestOf(Buffer.from('x'))), undefined)
      await metadata.forgetTransfer(repository, digest)
      await metadata.forgetTransfer(repository, digest)
      assert.equal(await metadata.findTransfer(repository, digest), undefined)
      assert.equal(await metadata.findTransfer(other, digest), others)
    })

    it('forgets it with the session', async () => {
      const repository = freshRepository()
      const [kept, gone] = [await session(repository), await session(repository)]
      await metadata.noteTransfer(repository, digest, gone)
      await metadata.deleteUpload(kept)
      assert.equal(await metadata.findTransfer(repository, digest), gone)
      await metadata.deleteUpload(gone)
      assert.equal(await metadata.findTransfer(repository, digest), undefined)
    })

    it('notes nothing of a session that is gone', async () => {
      const repository = freshRepository()
      const id = await session(repository)
      await metadata.noteTransfer(repository, digest, id)
      await metadata.noteTransfer(repository, digest, newUploadId())
      assert.equal(await metadata.findTransfer(repository, digest), id)
    })

    it('keeps one of those that are noted at the same time, and none of a session that goes meanwhile', async () => {
      for (let round = 0; round < 5; round++) {
        const repository = freshRepository()
        const ids = await Promise.all(Array.from({ length: 8 }, () => session(repository)))
        await Promise.all(
          ids.flatMap((id, index) => {
            const racing = index % 2 === 0 ? metadata : opened.replica
            return [
              racing.noteTransfer(repository, digest, id),
              ...(index < 4 ? [racing.deleteUpload(id)] : []),
            ]
          }),
        )
        const found = await metadata.findTransfer(repository, digest)
        if (found !== undefined) assert.ok(ids.slice(4).includes(found))
      }
    })

    it('does nothing for a caller that has gone', async () => {
      const reason = new Error('not wanted any more')
      const options = { signal: AbortSignal.abort(reason) }
      const repository = freshRepository()
      const id = await session(repository)
      for (const attempt of [
        () => metadata.findTransfer(repository, digest, options),
        () => metadata.noteTransfer(repository, digest, id, options),
        () => metadata.forgetTransfer(repository, digest, options),
      ])
        await assert.rejects(attempt, (error: unknown) => error === reason)
      assert.equal(await metadata.findTransfer(repository, digest), undefined)
    })
  })
}

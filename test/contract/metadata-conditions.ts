import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ManifestCondition } from '../../src/storage/metadata/manifest-condition.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { parseReference } from '../../src/storage/reference.ts'
import { freshRepository, looseManifest } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'

/** Conditional pushes: decided in the transaction that writes. */
export function metadataConditionContract(metadata: () => Metadata): void {
  describe('conditional pushes', () => {
    const reference = parseReference('latest')
    const [older, newer] = [looseManifest('older', 'latest'), looseManifest('newer', 'latest')]
    const put = (repository: ReturnType<typeof freshRepository>, condition: ManifestCondition) =>
      metadata().putManifest(repository, newer, { condition })

    it('are taken when the tag stands for what the client has seen', async () => {
      const repository = freshRepository()
      await put(repository, { reference, noneMatch: 'any' })
      await put(repository, { reference, match: new Set([newer.digest]) })
      await put(repository, { reference, match: 'any', noneMatch: new Set([older.digest]) })
    })

    it('are refused otherwise, and change nothing', async () => {
      const repository = freshRepository()
      for (const match of ['any', new Set([older.digest])] as const)
        await rejectsWith('conflict', put(repository, { reference, match }))
      assert.equal(await metadata().hasRepository(repository), false)

      await metadata().putManifest(repository, older)
      for (const condition of [
        { reference, noneMatch: 'any' },
        { reference, noneMatch: new Set([older.digest]) },
        { reference, match: new Set([newer.digest]) },
        { reference, match: new Set<string>() },
      ] as const) {
        const error = await rejectsWith('conflict', put(repository, condition))
        assert.equal(error.details.resource, 'manifest')
      }
      assert.equal((await metadata().statManifest(repository, reference)).digest, older.digest)
      await rejectsWith('not_found', metadata().statManifest(repository, parseReference(newer.digest)))
    })

    it('leave one winner when all have seen the same', async () => {
      const repository = freshRepository()
      const pushes = Array.from({ length: 10 }, (_, index) =>
        metadata().putManifest(repository, looseManifest(`racer ${index}`, 'latest'), {
          condition: { reference, noneMatch: 'any' },
        }),
      )
      const outcomes = await Promise.allSettled(pushes)
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
    })
  })
}

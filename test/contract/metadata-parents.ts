import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { freshRepository, imageManifest, indexOf } from '../support/records.ts'
import type { TestClock } from './metadata.ts'

/** What names a manifest as its child. */
export function metadataParentContract(metadata: () => Metadata, clock: TestClock): void {
  describe('parents', () => {
    const child = digestOf(Buffer.from('child'))
    const other = digestOf(Buffer.from('other'))

    it('are the indexes that name the child, newest first, each once', async () => {
      const repository = freshRepository()
      const indexes = [
        indexOf([child], 'none'),
        indexOf([other], 'none'),
        indexOf([other, child, child], 'none'),
      ]
      for (const index of indexes) {
        clock.time += 1
        await metadata().putManifest(repository, index)
      }
      const [older, , newer] = indexes.map(({ digest }) => digest)
      assert.deepEqual(await metadata().listParents(repository, child, 10), [newer, older])
      assert.deepEqual(await metadata().listParents(repository, child, 1), [newer])
    })

    it('are of the same repository, and gone with the index', async () => {
      const [repository, elsewhere] = [freshRepository(), freshRepository()]
      const index = indexOf([child], 'none')
      await metadata().putManifest(repository, index)
      assert.deepEqual(await metadata().listParents(elsewhere, child, 10), [])
      await metadata().deleteManifest(repository, index.digest)
      assert.deepEqual(await metadata().listParents(repository, child, 10), [])
    })

    it('are nothing that names the child otherwise', async () => {
      const repository = freshRepository()
      const { bytes, ...rest } = imageManifest({ subject: child })
      const edges = rest.edges.map(edge => ({ ...edge, required: false }))
      await metadata().putManifest(repository, { ...rest, bytes, edges })
      assert.deepEqual(await metadata().listParents(repository, child, 10), [])
    })
  })
}

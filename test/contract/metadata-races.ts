import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDomainError } from '../../src/errors.ts'
import { digestOf } from '../../src/storage/digest.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { newObjectKey } from '../../src/storage/objects/keys.ts'
import { parseReference, type RepositoryName } from '../../src/storage/reference.ts'
import { commitText, freshRepository, imageManifest, looseManifest, newUpload } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

/**
 * What happens when several requests, of several replicas, want the same at once: as if they had come one after
 * another, and no caller hears of the others.
 */
export function metadataRaceContract(opened: () => OpenedMetadata, clock: TestClock): void {
  const racer = (index: number): Metadata => (index % 2 === 0 ? opened().metadata : opened().replica)
  const race = <Result>(count: number, run: (metadata: Metadata, index: number) => Promise<Result>) =>
    Promise.all(Array.from({ length: count }, (_, index) => run(racer(index), index)))

  /** `ok`, or the code of the error. */
  const codeOf = (attempt: Promise<unknown>): Promise<string> =>
    attempt.then(
      () => 'ok',
      (error: unknown) => {
        if (isDomainError(error)) return error.code
        throw error
      },
    )
  const latest = parseReference('latest')

  describe('races', () => {
    it('of conditional pushes have one winner', async () => {
      for (let round = 0; round < 5; round++) {
        const repository = freshRepository()
        const outcomes = await race(8, (metadata, index) =>
          codeOf(
            metadata.putManifest(repository, looseManifest(`${index}`, 'latest'), {
              condition: { reference: latest, noneMatch: 'any' },
            }),
          ),
        )
        assert.deepEqual(outcomes.toSorted(), [...Array<string>(7).fill('conflict'), 'ok'])
      }
    })

    it('of writers that each put theirs after what they have read lose none', async () => {
      const repository = freshRepository()
      const put = (metadata: Metadata, text: string, before: string | undefined) =>
        metadata.putManifest(repository, looseManifest(text, 'latest'), {
          condition: {
            reference: latest,
            ...(before === undefined ? { noneMatch: 'any' } : { match: new Set([before]) }),
          },
        })
      const chain = new Map<string, string | undefined>()
      await race(6, async (metadata, index) => {
        for (let step = 0; step < 3; ) {
          const before = await metadata.statManifest(repository, latest).then(
            ({ digest }) => digest,
            () => undefined,
          )
          const text = `${index} ${step} after ${before}`
          const outcome = await codeOf(put(metadata, text, before))
          assert.ok(outcome === 'ok' || outcome === 'conflict', outcome)
          if (outcome !== 'ok') continue
          chain.set(looseManifest(text).digest, before)
          step += 1
        }
      })
      let length = 0
      let digest: string | undefined = (await opened().metadata.statManifest(repository, latest)).digest
      for (; digest !== undefined; digest = chain.get(digest)) length += 1
      assert.equal(length, 18)
    })

    it('of pushes and a deleted tag leave conditions true', async () => {
      for (let round = 0; round < 10; round++) {
        const repository = freshRepository()
        const [older, newer] = [looseManifest('older', 'latest'), looseManifest('newer', 'latest')]
        await opened().metadata.putManifest(repository, older)
        const condition = { reference: latest, match: new Set([older.digest]) }
        const [pushed, deleted] = await Promise.all([
          codeOf(racer(0).putManifest(repository, newer, { condition })),
          codeOf(racer(1).deleteTag(repository, latest.kind === 'tag' ? latest.tag : assert.fail())),
        ])
        assert.equal(deleted, 'ok')
        assert.ok(pushed === 'ok' || pushed === 'conflict', pushed)
        // Either the push saw no tag, or the deletion took what it had set.
        await rejectsWith('not_found', opened().metadata.statManifest(repository, latest))
      }
    })

    it('for a lease have one winner', async () => {
      for (let round = 0; round < 5; round++) {
        const upload = newUpload(freshRepository(), clock.time)
        await opened().metadata.createUpload(upload)
        await opened().metadata.releaseUpload(upload.id, upload.holder)
        const until = new Date(clock.time + 60_000)
        const outcomes = await race(6, (metadata, index) =>
          codeOf(
            metadata.leaseUpload(upload.repository, upload.id, {
              holder: `${index}`,
              until,
              nextTailKey: newObjectKey(),
            }),
          ),
        )
        assert.deepEqual(outcomes.toSorted(), [...Array<string>(5).fill('busy'), 'ok'])
      }
    })

    it('of a commit with the writer that follows its holder have one winner', async () => {
      for (let round = 0; round < 10; round++) {
        const upload = newUpload(freshRepository(), clock.time, { leaseUntil: new Date(clock.time) })
        const { repository, id: uploadId, holder, objectKey } = upload
        await opened().metadata.createUpload(upload)
        const digest = digestOf(Buffer.from(uploadId))
        const next = { holder: 'next', until: new Date(clock.time + 60_000), nextTailKey: newObjectKey() }
        const [committed, leased] = await Promise.all([
          codeOf(racer(round).commitBlob({ digest, size: 1, objectKey, repository, uploadId, holder })),
          racer(round + 1).leaseUpload(repository, uploadId, next),
        ])
        assert.equal(committed, leased.committed === null ? 'conflict' : 'ok')
      }
    })

    it('of uploads of one blob keep one object, and the others become garbage', async () => {
      const shared = freshRepository()
      const digest = digestOf(Buffer.from(shared))
      const uploads = await race(32, async (metadata, index) => {
        const upload = newUpload(index % 4 === 0 ? shared : freshRepository(), clock.time)
        await metadata.createUpload(upload)
        return upload
      })
      const stored = await race(32, (metadata, index) => {
        const { repository, id: uploadId, holder, objectKey } = uploads[index] ?? assert.fail()
        return metadata.commitBlob({ digest, size: 1, objectKey, repository, uploadId, holder })
      })
      const keys = new Set(stored.map(({ objectKey }) => objectKey))
      assert.equal(keys.size, 1)
      const garbage = new Set(await opened().metadata.listGarbage(10_000))
      for (const { objectKey, repository } of uploads) {
        assert.equal(garbage.has(objectKey), !keys.has(objectKey))
        assert.ok(keys.has((await opened().metadata.findBlob(repository, digest)).objectKey))
      }
    })

    it('of one commit with itself answer the same', async () => {
      const upload = newUpload(freshRepository(), clock.time)
      const { repository, id: uploadId, holder, objectKey } = upload
      await opened().metadata.createUpload(upload)
      const digest = digestOf(Buffer.from(uploadId))
      const stored = await race(8, metadata =>
        metadata.commitBlob({ digest, size: 1, objectKey, repository, uploadId, holder }),
      )
      for (const each of stored) assert.deepEqual(each, { digest, size: 1, objectKey })
      assert.ok(!(await opened().metadata.listGarbage(10_000)).includes(objectKey))
    })

    it('to be the first in a repository are all welcome', async () => {
      const repository = freshRepository()
      await race(16, async (metadata, index) =>
        index % 3 === 0
          ? commitText(metadata, repository, `first ${index}`, clock.time)
          : metadata.putManifest(repository, looseManifest(`first ${index}`, `tag-${index}`)),
      )
      assert.equal((await opened().metadata.listTags(repository, { limit: 99 })).length, 10)
    })

    it('of pushes that move the same tags end with tags that are there', async () => {
      const repository = freshRepository()
      const manifests = Array.from({ length: 12 }, (_, index) =>
        looseManifest(`mover ${index}`, ...(index % 3 === 0 ? ['a', 'b', 'c'] : ['c', 'b', 'a'])),
      )
      await race(36, async (metadata, index) => {
        const manifest = manifests[index % 12] ?? assert.fail()
        if (index < 24) return metadata.putManifest(repository, manifest)
        const outcome = await codeOf(metadata.deleteManifest(repository, manifest.digest))
        assert.ok(outcome === 'ok' || outcome === 'not_found', outcome)
      })
      const kept = await opened().metadata.listTags(repository, { limit: 99 })
      for (const tag of kept) await opened().metadata.getManifest(repository, parseReference(tag))
    })

    it('of a manifest with the removal of its blob leave no manifest without it', async () => {
      for (let round = 0; round < 20; round++) {
        const repository = freshRepository()
        const { digest } = await commitText(opened().metadata, repository, 'part', clock.time)
        const manifest = imageManifest({ config: digest, tags: ['latest'] })
        const outcomes = await Promise.all([
          codeOf(racer(round).putManifest(repository, manifest)),
          codeOf(racer(round + 1).unlinkBlob(repository, digest)),
        ])
        assert.ok(['ok conflict', 'missing_reference ok'].includes(outcomes.join(' ')), outcomes.join(' '))
      }
    })

    it('of mounts with the removal of what they mount from are decided one way or the other', async () => {
      for (let round = 0; round < 10; round++) {
        const [from, repository] = [freshRepository(), freshRepository()]
        const { digest } = await commitText(opened().metadata, from, 'mounted', clock.time)
        const [mounted, unlinked] = await Promise.all([
          codeOf(racer(round).linkBlob({ repository, from, digest })),
          codeOf(racer(round + 1).unlinkBlob(from, digest)),
        ])
        assert.equal(unlinked, 'ok')
        assert.equal(await hasBlob(repository, digest), mounted === 'ok')
      }
    })
  })

  async function hasBlob(repository: RepositoryName, digest: ReturnType<typeof digestOf>): Promise<boolean> {
    return (await codeOf(opened().metadata.findBlob(repository, digest))) === 'ok'
  }
}

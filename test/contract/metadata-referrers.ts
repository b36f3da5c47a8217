import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import type { NewManifest, ReferrerPosition } from '../../src/storage/metadata/manifest-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import type { RepositoryName } from '../../src/storage/reference.ts'
import { commitText, freshRepository, imageManifest } from '../support/records.ts'
import type { TestClock } from './metadata.ts'

/** What names a manifest as its subject. */
export function metadataReferrerContract(metadata: () => Metadata, clock: TestClock): void {
  describe('referrers', () => {
    const subject = digestOf(Buffer.from('subject'))
    const everything = { artifactTypes: [], maxBytes: 1_000_000 }

    async function push(
      repository: RepositoryName,
      text: string,
      { artifactType, fill = '' }: { artifactType?: string; fill?: string } = {},
    ): Promise<NewManifest> {
      const { digest } = await commitText(metadata(), repository, 'config', clock.time)
      const annotations = { text, fill }
      const manifest = {
        ...imageManifest({ config: digest, subject, annotations }),
        annotations,
        artifactType,
      }
      clock.time += 1
      await metadata().putManifest(repository, manifest)
      return manifest
    }

    it('are described, newest first, with what their manifests say', async () => {
      const repository = freshRepository()
      const older = await push(repository, 'older', { artifactType: 'text/a' })
      const newer = await push(repository, 'newer')
      const { referrers, next } = await metadata().listReferrers(repository, subject, everything)
      assert.equal(next, undefined)
      assert.deepEqual(
        referrers,
        [newer, older].map(({ digest, mediaType, size, artifactType, annotations }) => ({
          mediaType,
          digest,
          size,
          ...(artifactType === undefined ? {} : { artifactType }),
          annotations,
        })),
      )
    })

    it('are of one subject and one repository, which need not exist', async () => {
      const repository = freshRepository()
      await push(repository, 'mine')
      for (const [where, of] of [
        [freshRepository(), subject],
        [repository, digestOf(Buffer.from('another subject'))],
        [repository, digestOf(Buffer.from('subject'), 'sha512')],
      ] as const)
        assert.deepEqual(await metadata().listReferrers(where, of, everything), {
          referrers: [],
          next: undefined,
        })
    })

    it('are chosen by any of several artifact types', async () => {
      const repository = freshRepository()
      const [a, b] = [
        await push(repository, 'a', { artifactType: 'text/a' }),
        await push(repository, 'b', { artifactType: 'text/b' }),
      ]
      await push(repository, 'none')
      const chosen = async (...artifactTypes: string[]) =>
        (await metadata().listReferrers(repository, subject, { ...everything, artifactTypes })).referrers.map(
          ({ digest }) => digest,
        )
      assert.deepEqual(await chosen('text/a'), [a.digest])
      assert.deepEqual(await chosen('text/a', 'text/b', 'text/a'), [b.digest, a.digest])
      assert.deepEqual(await chosen('text/c'), [])
    })

    it('vanish with their manifests', async () => {
      const repository = freshRepository()
      const [kept, gone] = [await push(repository, 'kept'), await push(repository, 'gone')]
      await metadata().deleteManifest(repository, gone.digest)
      const { referrers } = await metadata().listReferrers(repository, subject, everything)
      assert.deepEqual(
        referrers.map(({ digest }) => digest),
        [kept.digest],
      )
    })

    it('come in pages of so many bytes, one at least, also when they have the same age', async () => {
      const repository = freshRepository()
      const pushed = new Set<string>()
      for (let index = 0; index < 12; index++) {
        pushed.add((await push(repository, `page ${index}`, { fill: 'é\n'.repeat(100) })).digest)
        if (index % 3 !== 0) clock.time -= 1
      }
      for (const [maxBytes, fewestPages] of [
        [1, 12],
        [2_000, 4],
        [100_000, 1],
      ] as const) {
        const seen: string[] = []
        let pages = 0
        let after: ReferrerPosition | undefined
        do {
          const page = { artifactTypes: [], maxBytes, after }
          const { referrers, next } = await metadata().listReferrers(repository, subject, page)
          assert.ok(referrers.length === 1 || JSON.stringify(referrers).length <= maxBytes)
          seen.push(...referrers.map(({ digest }) => digest))
          after = next
          pages += 1
        } while (after !== undefined)
        assert.ok(pages >= fewestPages, `${pages} pages of ${maxBytes}`)
        assert.equal(seen.length, pushed.size)
        assert.deepEqual(new Set(seen), pushed)
      }
    })

    it('go on after one that is gone', async () => {
      const repository = freshRepository()
      const first = await push(repository, 'first')
      const last = await push(repository, 'last')
      const { next } = await metadata().listReferrers(repository, subject, { artifactTypes: [], maxBytes: 1 })
      assert.equal(next?.digest, last.digest)
      await metadata().deleteManifest(repository, last.digest)
      const rest = await metadata().listReferrers(repository, subject, { ...everything, after: next })
      assert.deepEqual(
        rest.referrers.map(({ digest }) => digest),
        [first.digest],
      )
    })
  })
}

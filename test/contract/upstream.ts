import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { isDomainError } from '../../src/errors.ts'
import { parseTenantName } from '../../src/storage/accounts/names.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { isContentEvent } from '../../src/storage/metadata/event-records.ts'
import type { NewManifest } from '../../src/storage/metadata/manifest-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import type { PulledManifest } from '../../src/storage/metadata/upstream-records.ts'
import {
  parseReference,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
} from '../../src/storage/reference.ts'
import { commitText, imageManifest, indexOf, looseManifest } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

/** The executable half of UpstreamRecords. */
export function upstreamContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`${name} as UpstreamRecords`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    let metadata: Metadata
    before(async () => {
      opened = await open(() => clock.time)
      metadata = opened.metadata
    })
    after(() => opened.close())

    const at = (ms = 0): Date => new Date(clock.time + ms)
    const freshPrefix = (): RepositoryName => parseRepositoryName(`u${randomUUID()}`)
    const under = (prefix: RepositoryName, rest: string): RepositoryName =>
      parseRepositoryName(`${prefix}/${rest}`)
    const racer = (index: number): Metadata => (index % 2 === 0 ? opened.metadata : opened.replica)
    const latest = parseTag('latest')

    describe('tags', () => {
      it('are told as they were found last', async () => {
        const repository = under(freshPrefix(), 'library/debian')
        const digest = digestOf(Buffer.from('debian'))
        assert.equal(await metadata.findUpstreamTag(repository, latest), undefined)
        await metadata.noteUpstreamTag(repository, latest, { checkedAt: at(), digest })
        assert.deepEqual(await opened.replica.findUpstreamTag(repository, latest), {
          checkedAt: at(),
          digest,
        })
        await metadata.noteUpstreamTag(repository, latest, { checkedAt: at(5), digest: null })
        const found = await metadata.findUpstreamTag(repository, latest)
        assert.deepEqual(found, { checkedAt: at(5), digest: null })
        assert.equal(await metadata.findUpstreamTag(repository, parseTag('v1')), undefined)
        assert.equal(await metadata.findUpstreamTag(under(repository, 'x'), latest), undefined)
      })

      it('that were compared long ago are forgotten, at most so many at once, those first first', async () => {
        const repository = under(freshPrefix(), 'a')
        const tags = ['c', 'a', 'b', 'd'].map(parseTag)
        clock.time += 1000
        while ((await metadata.forgetUpstreamTags(at(), 100)) > 0);
        for (const [index, tag] of tags.entries())
          await metadata.noteUpstreamTag(repository, tag, { checkedAt: at(index), digest: null })
        assert.equal(await metadata.forgetUpstreamTags(at(3), 2), 2)
        const left = async () => {
          const found = await Promise.all(tags.map(tag => metadata.findUpstreamTag(repository, tag)))
          return tags.filter((_, index) => found[index] !== undefined)
        }
        assert.deepEqual(await left(), ['b', 'd'])
        assert.equal(await metadata.forgetUpstreamTags(at(3), 2), 1)
        assert.deepEqual(await left(), ['d'])
      })
    })

    describe('fills', () => {
      const digest = digestOf(Buffer.from('blob'))
      const lease = (holder: string, ms = 1000) => ({ holder, until: at(ms) })

      it('are one’s at a time, for each repository and digest', async () => {
        const repository = under(freshPrefix(), 'a')
        const won = await Promise.all(
          Array.from({ length: 12 }, (_, index) =>
            racer(index).leaseFill(repository, digest, lease(`racer ${index}`)),
          ),
        )
        assert.equal(won.filter(Boolean).length, 1)
        assert.equal(await metadata.leaseFill(under(repository, 'b'), digest, lease('b')), true)
        assert.equal(await metadata.leaseFill(repository, digestOf(Buffer.from('x')), lease('b')), true)
        const winner = `racer ${won.indexOf(true)}`
        assert.equal(await opened.replica.leaseFill(repository, digest, lease(winner)), true)
        await metadata.releaseFill(repository, digest, 'b')
        assert.equal(await metadata.leaseFill(repository, digest, lease('b')), false)
        await metadata.releaseFill(repository, digest, winner)
        assert.equal(await metadata.leaseFill(repository, digest, lease('b')), true)
      })

      it('whose holder died are another’s when they run out, and forgotten with old tags', async () => {
        const repository = under(freshPrefix(), 'a')
        await metadata.leaseFill(repository, digest, lease('dead'))
        clock.time += 1000
        assert.equal(await metadata.leaseFill(repository, digest, lease('heir', 5000)), true)
        // It has not run out, whatever is asked for.
        await metadata.forgetUpstreamTags(at(60_000), 1)
        assert.equal(await metadata.leaseFill(repository, digest, lease('other')), false)
      })
    })

    describe('eviction’s lease', () => {
      it('is one’s at a time, until it is given back or has run out', async () => {
        const lease = (holder: string) => ({ holder, until: at(1000) })
        const won = await Promise.all(
          Array.from({ length: 12 }, (_, index) => racer(index).leaseEviction(lease(`racer ${index}`))),
        )
        assert.equal(won.filter(Boolean).length, 1)
        const winner = `racer ${won.indexOf(true)}`
        assert.equal(await opened.replica.leaseEviction(lease(winner)), true)
        await metadata.releaseEviction('another')
        assert.equal(await metadata.leaseEviction(lease('another')), false)
        await opened.replica.releaseEviction(winner)
        assert.equal(await metadata.leaseEviction(lease('another')), true)
        assert.equal(await metadata.leaseEviction(lease('heir')), false)
        clock.time += 1000
        assert.equal(await metadata.leaseEviction(lease('heir')), true)
        await metadata.releaseEviction('heir')
      })
    })

    describe('named sizes', () => {
      it('are those that manifests of the repository give, each once', async () => {
        const prefix = freshPrefix()
        const repository = under(prefix, 'a')
        const blob = digestOf(Buffer.from('layer'))
        const naming = (size: number, text: string): NewManifest => {
          const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: blob, size }
          return { ...looseManifest(text), edges: [{ role: 'layer', descriptor, required: false }] }
        }
        assert.deepEqual(await metadata.sizesNamed(repository, blob), [])
        await metadata.putManifest(repository, naming(70, 'one'))
        await metadata.putManifest(repository, naming(70, 'another'))
        await metadata.putManifest(under(prefix, 'b'), naming(90, 'elsewhere'))
        assert.deepEqual(await opened.replica.sizesNamed(repository, blob), [70])
        await metadata.putManifest(repository, naming(5_000_000_000, 'wrong'))
        assert.deepEqual(await metadata.sizesNamed(repository, blob), [70, 5_000_000_000])
      })
    })

    describe('eviction', () => {
      const put = (repository: RepositoryName, manifest: NewManifest) =>
        metadata.putManifest(repository, manifest)
      const pulled = (
        repository: RepositoryName,
        { digest }: { digest: PulledManifest['digest'] },
        ms: number,
      ) => ({
        repository,
        digest,
        at: at(ms),
      })
      const evictable = async (prefix: RepositoryName, ms: number, limit = 99) =>
        (await metadata.listEvictable(prefix, at(ms), limit)).map(({ digest }) => digest)

      it('is of what was pulled, or else fetched, longest ago', async () => {
        const prefix = freshPrefix()
        const [a, b] = [under(prefix, 'a'), under(prefix, 'b/c')]
        const [one, two, three] = ['one', 'two', 'three'].map(text => looseManifest(text))
        assert.ok(one && two && three)
        await put(a, one)
        await put(b, two)
        await put(a, three)
        await metadata.notePulled([pulled(a, one, 100), pulled(b, two, 50)])
        assert.deepEqual(await metadata.listEvictable(prefix, at(101), 99), [
          pulled(a, three, 0),
          pulled(b, two, 50),
          pulled(a, one, 100),
        ])
        assert.deepEqual(await evictable(prefix, 100), [three.digest, two.digest])
        assert.deepEqual(await evictable(prefix, 101, 1), [three.digest])
        assert.deepEqual(await evictable(prefix, 0), [])
      })

      it('leaves what is not below the prefix alone', async () => {
        const prefix = freshPrefix()
        const manifest = looseManifest('one')
        for (const each of [prefix, `${prefix}-labs/a`, `${prefix}.labs/a`, `${prefix}0/a`, `${prefix}/a`])
          await put(parseRepositoryName(each), manifest)
        assert.deepEqual(await metadata.listEvictable(prefix, at(1), 99), [
          pulled(under(prefix, 'a'), manifest, 0),
        ])
      })

      it('keeps the children of an index as long as it stays, whichever was pulled later', async () => {
        const prefix = freshPrefix()
        const repository = under(prefix, 'a')
        const [amd, arm] = [looseManifest('amd64'), looseManifest('arm64')]
        const index = indexOf([amd.digest, arm.digest], 'all')
        for (const each of [amd, arm, index]) await put(repository, each)
        assert.deepEqual(await evictable(prefix, 1000), [index.digest])
        await metadata.notePulled([pulled(repository, index, 100), pulled(repository, amd, 50)])
        assert.deepEqual(await evictable(prefix, 1000), [index.digest])
        await metadata.notePulled([pulled(repository, amd, 200)])
        assert.deepEqual(await evictable(prefix, 1000), [index.digest])
        await metadata.deleteManifest(repository, index.digest, { isFinal: true })
        assert.deepEqual(await evictable(prefix, 1000), [arm.digest, amd.digest])
      })

      it('keeps what an index that was deleted by a client may come back with', async () => {
        const prefix = freshPrefix()
        const repository = under(prefix, 'a')
        const child = looseManifest('kept child')
        const index = indexOf([child.digest], 'all')
        for (const each of [child, index]) await put(repository, each)
        await metadata.deleteManifest(repository, index.digest)
        assert.deepEqual(await evictable(prefix, 1000), [])
        await metadata.purgeManifest(repository, index.digest)
        assert.deepEqual(await evictable(prefix, 1000), [child.digest])
      })

      it('keeps what is in an index that is in another, when only the outermost was pulled lately', async () => {
        const prefix = freshPrefix()
        const repository = under(prefix, 'a')
        const child = looseManifest('child')
        const inner = indexOf([child.digest], 'all')
        const outer = indexOf([inner.digest], 'all')
        for (const each of [child, inner, outer]) await put(repository, each)
        await metadata.notePulled([
          pulled(repository, inner, 1),
          pulled(repository, child, 2),
          pulled(repository, outer, 100),
        ])
        assert.deepEqual(await evictable(prefix, 50), [])
        for (const each of [outer, inner, child]) {
          assert.deepEqual(await evictable(prefix, 1000), [each.digest])
          await metadata.deleteManifest(repository, each.digest, { isFinal: true })
        }
      })

      it('is not hindered by what another repository has', async () => {
        const prefix = freshPrefix()
        const [a, b] = [under(prefix, 'a'), under(prefix, 'b')]
        const child = looseManifest('child')
        const index = indexOf([child.digest], 'blobs')
        await put(a, child)
        await put(b, index)
        await metadata.notePulled([pulled(b, index, 100)])
        assert.deepEqual(await evictable(prefix, 50), [child.digest])
      })

      it('goes by the latest pull, however they are noted', async () => {
        const prefix = freshPrefix()
        const repository = under(prefix, 'a')
        const manifests = Array.from({ length: 8 }, (_, index) => looseManifest(`m${index}`))
        for (const each of manifests) await put(repository, each)
        await metadata.notePulled([])
        await Promise.all(
          Array.from({ length: 12 }, (_, index) => {
            const notes = manifests.flatMap(each => [
              pulled(repository, each, index + 1),
              pulled(repository, each, index),
            ])
            return racer(index).notePulled(index % 3 === 0 ? notes : notes.toReversed())
          }),
        )
        await metadata.notePulled(manifests.map(each => pulled(repository, each, 3)))
        const listed = await metadata.listEvictable(prefix, at(99), 99)
        assert.equal(listed.length, 8)
        for (const each of listed) assert.deepEqual(each.at, at(12))
      })

      it('passes over pulls of what is gone', async () => {
        const prefix = freshPrefix()
        const repository = under(prefix, 'a')
        const [kept, gone] = [looseManifest('kept'), looseManifest('gone')]
        for (const each of [kept, gone]) await put(repository, each)
        await metadata.notePulled([pulled(repository, gone, 1)])
        await metadata.deleteManifest(repository, gone.digest)
        await metadata.notePulled([pulled(repository, gone, 2), pulled(repository, kept, 2)])
        assert.deepEqual(await metadata.listEvictable(prefix, at(99), 99), [pulled(repository, kept, 2)])
        await put(repository, gone)
        assert.deepEqual(await evictable(prefix, 1), [gone.digest])
      })

      it('races with deletions', async () => {
        const prefix = freshPrefix()
        const repository = under(prefix, 'a')
        const manifests = Array.from({ length: 12 }, (_, index) => looseManifest(`raced ${index}`))
        for (const each of manifests) await put(repository, each)
        await Promise.all([
          ...manifests.map((each, index) => racer(index).deleteManifest(repository, each.digest)),
          ...manifests.map((_, index) =>
            racer(index + 1).notePulled(manifests.map(each => pulled(repository, each, index))),
          ),
        ])
        assert.deepEqual(await evictable(prefix, 99), [])
      })
    })

    describe('bytes', () => {
      it('are those of all blobs, each once, and of the manifests of all repositories below', async () => {
        const prefix = freshPrefix()
        assert.equal(await metadata.bytesBelow(prefix), 0)
        for (const rest of ['a', 'b/c'])
          await commitText(metadata, under(prefix, rest), `shared ${prefix}`, clock.time)
        await commitText(metadata, under(prefix, 'a'), 'alone', clock.time)
        await commitText(metadata, parseRepositoryName(`${prefix}-labs/a`), 'another’s', clock.time)
        await commitText(metadata, prefix, 'not below', clock.time)
        const manifest = looseManifest('m')
        for (const rest of ['a', 'b/c']) await metadata.putManifest(under(prefix, rest), manifest)
        const expected = `shared ${prefix}`.length + 'alone'.length + 2 * manifest.size
        assert.equal(await opened.replica.bytesBelow(prefix), expected)
      })
    })

    describe('blobs that nothing names', () => {
      it('are let go of, and cost their tenant nothing any more', async () => {
        const prefix = freshPrefix()
        const [a, b] = [under(prefix, 'a'), under(prefix, 'b')]
        const tenant = parseTenantName(prefix)
        const [named, shared, alone] = ['named', 'shared', 'alone'].map(text => `${text} ${prefix}`)
        assert.ok(named && shared && alone)
        const kept = await commitText(metadata, a, named, clock.time)
        for (const repository of [a, b]) await commitText(metadata, repository, shared, clock.time)
        const gone = await commitText(metadata, a, alone, clock.time)
        const image = imageManifest({ config: kept.digest })
        await metadata.putManifest(a, image)
        clock.time += 10
        const young = await commitText(metadata, a, `young ${prefix}`, clock.time)
        const { newest } = await metadata.eventBounds()
        assert.equal(await metadata.unlinkUnnamed(a, at()), 2)
        assert.equal(await metadata.unlinkUnnamed(a, at()), 0)
        await metadata.findBlob(a, kept.digest)
        await metadata.findBlob(a, young.digest)
        await metadata.findBlob(b, digestOf(Buffer.from(shared)))
        await rejectsWith('not_found', metadata.findBlob(a, gone.digest))
        await rejectsWith('not_found', metadata.findBlob(a, digestOf(Buffer.from(shared))))
        const bytes = named.length + shared.length + young.size + image.size
        assert.equal((await metadata.getUsage(tenant)).bytes, bytes)
        assert.equal((await metadata.recountUsage(tenant)).bytes, bytes)
        const events = (await metadata.listEvents({ after: newest, limit: 99 })).filter(isContentEvent)
        const deleted = events.filter(({ repository, action }) => repository === a && action === 'delete')
        assert.deepEqual(
          new Set(deleted.map(({ digest }) => digest)),
          new Set([gone.digest, digestOf(Buffer.from(shared))]),
        )
        assert.equal(await metadata.unlinkUnnamed(under(prefix, 'absent'), at(9)), 0)
      })

      it('may be many', async () => {
        const prefix = freshPrefix()
        const repository = under(prefix, 'a')
        for (let index = 0; index < 450; index++)
          await commitText(metadata, repository, `${index} ${prefix}`, clock.time)
        assert.equal(await opened.replica.unlinkUnnamed(repository, at(1)), 450)
        assert.equal((await metadata.getUsage(parseTenantName(prefix))).bytes, 0)
      })

      it('are there for a manifest that is put at the same time, or it is refused', async () => {
        for (let round = 0; round < 10; round++) {
          const repository = under(freshPrefix(), 'a')
          const blob = await commitText(metadata, repository, `raced ${repository}`, clock.time)
          const image = imageManifest({ config: blob.digest, tags: ['v1'] })
          const [outcome] = await Promise.all([
            metadata.putManifest(repository, image).then(
              () => 'ok',
              (error: unknown) => (isDomainError(error) ? error.code : assert.fail()),
            ),
            opened.replica.unlinkUnnamed(repository, at(1)),
            opened.metadata.unlinkUnnamed(repository, at(1)),
          ])
          const isThere = await metadata.findBlob(repository, blob.digest).then(
            () => true,
            () => false,
          )
          assert.deepEqual(
            { outcome, isThere },
            {
              outcome: isThere ? 'ok' : 'missing_reference',
              isThere,
            },
          )
          if (!isThere)
            await rejectsWith('not_found', metadata.statManifest(repository, parseReference('v1')))
        }
      })

      it('of repositories that share them are let go of at the same time', async () => {
        const prefix = freshPrefix()
        const repositories = ['a', 'b', 'c', 'd'].map(rest => under(prefix, rest))
        const texts = Array.from({ length: 20 }, (_, index) => `${index} of ${prefix}`)
        for (const repository of repositories)
          for (const text of texts) await commitText(metadata, repository, text, clock.time)
        const counts = await Promise.all(
          repositories.map((repository, index) => racer(index).unlinkUnnamed(repository, at(1))),
        )
        assert.deepEqual(counts, [20, 20, 20, 20])
        const tenant = parseTenantName(prefix)
        assert.equal((await metadata.getUsage(tenant)).bytes, 0)
        assert.equal((await metadata.recountUsage(tenant)).bytes, 0)
      })
    })

    it('does nothing for a caller that has gone', async () => {
      const reason = new Error('not wanted any more')
      const options = { signal: AbortSignal.abort(reason) }
      const repository = under(freshPrefix(), 'a')
      const digest = digestOf(Buffer.from('x'))
      const attempts: Record<string, () => Promise<unknown>> = {
        findUpstreamTag: () => metadata.findUpstreamTag(repository, latest, options),
        noteUpstreamTag: () =>
          metadata.noteUpstreamTag(repository, latest, { checkedAt: at(), digest: null }, options),
        forgetUpstreamTags: () => metadata.forgetUpstreamTags(at(), 1, options),
        notePulled: () => metadata.notePulled([], options),
        listEvictable: () => metadata.listEvictable(repository, at(), 1, options),
        bytesBelow: () => metadata.bytesBelow(repository, options),
        unlinkUnnamed: () => metadata.unlinkUnnamed(repository, at(), options),
        leaseFill: () => metadata.leaseFill(repository, digest, { holder: 'a', until: at(9) }, options),
        releaseFill: () => metadata.releaseFill(repository, digest, 'a', options),
        leaseEviction: () => metadata.leaseEviction({ holder: 'a', until: at(9) }, options),
        releaseEviction: () => metadata.releaseEviction('a', options),
      }
      for (const [method, attempt] of Object.entries(attempts))
        await assert.rejects(attempt, (error: unknown) => error === reason, method)
      assert.equal(await metadata.findUpstreamTag(repository, latest), undefined)
    })
  })
}

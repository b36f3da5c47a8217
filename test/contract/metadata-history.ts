import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { tenantOf } from '../../src/storage/accounts/names.ts'
import type { Digest } from '../../src/storage/digest.ts'
import type { ManifestPolicy } from '../../src/storage/metadata/collect-records.ts'
import type { TagChange } from '../../src/storage/metadata/history-records.ts'
import { defaultKeepTimes } from '../../src/storage/metadata/keep-times.ts'
import type { NewManifest } from '../../src/storage/metadata/manifest-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import {
  parseReference,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  type Tag,
} from '../../src/storage/reference.ts'
import type { Requester } from '../../src/storage/requester.ts'
import { commitText, imageManifest, indexOf, looseManifest } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

const { graceMs, undeleteMs } = defaultKeepTimes
const strict: ManifestPolicy = { untaggedMs: graceMs, referrers: 'delete' }
const latest = parseTag('latest')
const alice: Requester = {
  requestId: 'r',
  address: '192.0.2.1',
  scheme: 'https',
  host: 'registry.example',
  method: 'DELETE',
  userAgent: 'test',
  account: 'alice',
}

/** Of a tenant of its own. */
const freshRepository = () => parseRepositoryName(`t${randomUUID()}/a`)

/** The executable half of HistoryRecords, with the default times. */
export function historyContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`${name} as HistoryRecords`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    let metadata: Metadata
    before(async () => {
      opened = await open(() => clock.time)
      metadata = opened.metadata
    })
    after(() => opened.close())

    /** All that is due goes. */
    async function pass(ms: number, policy = strict): Promise<void> {
      clock.time += ms
      while ((await metadata.forgetDeletedManifests(3)) > 0);
      while ((await metadata.reviewManifests(policy, 7)).seen === 7);
      while ((await metadata.reviewLinks(7)).seen === 7);
      while ((await metadata.reviewRepositories(7)).seen === 7);
    }
    const hasManifest = (repository: RepositoryName, { digest }: Pick<NewManifest, 'digest'>) =>
      has(metadata.statManifest(repository, parseReference(digest)))
    const hasBlob = (repository: RepositoryName, digest: Digest) => has(metadata.findBlob(repository, digest))
    /** What a tag names; undefined: it is not there. */
    const named = (repository: RepositoryName, tag: string = latest) =>
      metadata.statManifest(repository, parseReference(tag)).then(
        ({ digest }) => digest,
        () => undefined,
      )
    async function assertCounted(repository: RepositoryName): Promise<number> {
      const used = await metadata.getUsage(tenantOf(repository))
      assert.deepEqual(await metadata.recountUsage(tenantOf(repository)), used)
      return used.bytes
    }
    const historyOf = async (repository: RepositoryName, tag: Tag = latest) =>
      (await metadata.listTagHistory(repository, tag, { limit: 100 })).map(
        ({ cause, digest, previous, account, isRestorable }) =>
          ({ cause, digest, previous, account, isRestorable }) satisfies Partial<TagChange>,
      )
    const deletedIn = (repository: RepositoryName) =>
      metadata.listDeletedManifests(repository, { limit: 100 })
    async function lastEventOf(repository: RepositoryName) {
      const events = await metadata.listEvents({ after: 0, limit: 100_000 })
      return events
        .flatMap(event => ('repository' in event && event.repository === repository ? event : []))
        .at(-1)
    }
    /** An image of two blobs, with a tag. */
    async function pushImage(repository: RepositoryName, text: string, ...tags: string[]) {
      const config = await commitText(metadata, repository, `config ${text} ${repository}`, clock.time)
      const layer = await commitText(metadata, repository, `layer ${text} ${repository}`, clock.time)
      const manifest = imageManifest({ config: config.digest, layers: [layer.digest], tags })
      await metadata.putManifest(repository, manifest)
      return { manifest, config: config.digest, layer: layer.digest }
    }

    it('each change of a tag is written down with who made it, and a push of the same is none', async () => {
      const repository = freshRepository()
      const [one, two] = [looseManifest(`one ${repository}`), looseManifest(`two ${repository}`)]
      const by = { by: alice }
      await metadata.putManifest(repository, { ...one, tags: [latest] }, by)
      await metadata.putManifest(repository, { ...one, tags: [latest] }, by)
      await metadata.putManifest(repository, { ...two, tags: [latest] })
      await metadata.deleteTag(repository, latest, by)
      const rest = { isRestorable: true, account: null }
      assert.deepEqual(await historyOf(repository), [
        { ...rest, cause: 'delete', digest: null, previous: two.digest, account: 'alice' },
        { ...rest, cause: 'push', digest: two.digest, previous: one.digest },
        { ...rest, cause: 'push', digest: one.digest, previous: null, account: 'alice' },
      ])
      const [last] = await metadata.listTagHistory(repository, latest, { limit: 1 })
      const older = await metadata.listTagHistory(repository, latest, { limit: 9, before: last?.position })
      assert.equal(older.length, 2)
      assert.deepEqual(await historyOf(repository, parseTag('other')), [])
    })

    it('a tag that was deleted or moved is set back, and that once more takes it back', async () => {
      const repository = freshRepository()
      const [one, two] = [looseManifest(`1 ${repository}`), looseManifest(`2 ${repository}`)]
      for (const each of [one, two]) await metadata.putManifest(repository, { ...each, tags: [latest] })
      const back = await metadata.restoreTag(repository, latest, undefined)
      assert.deepEqual(back, { digest: one.digest, previous: two.digest, wasDeleted: false })
      assert.equal(await named(repository), one.digest)
      await metadata.restoreTag(repository, latest, undefined, { by: alice })
      assert.equal(await named(repository), two.digest)
      await metadata.deleteTag(repository, latest)
      assert.deepEqual(await metadata.restoreTag(repository, latest, one.digest), {
        digest: one.digest,
        previous: null,
        wasDeleted: false,
      })
      const same = await metadata.restoreTag(repository, latest, one.digest)
      assert.deepEqual(same, { digest: one.digest, previous: one.digest, wasDeleted: false })
      assert.deepEqual(
        (await historyOf(repository)).map(({ cause, account }) => [cause, account]),
        [
          ['restore', null],
          ['delete', null],
          ['restore', 'alice'],
          ['restore', null],
          ['push', null],
          ['push', null],
        ],
      )
      const last = await lastEventOf(repository)
      assert.deepEqual(
        [last?.kind, last?.action, last?.tag, last?.digest],
        ['tag', 'tag', latest, one.digest],
      )
    })

    it('what a tag never named, or was not there, is not found', async () => {
      const repository = freshRepository()
      const [one, other] = [looseManifest(`1 ${repository}`), looseManifest(`other ${repository}`)]
      await rejectsWith('not_found', metadata.restoreTag(repository, latest, undefined))
      await metadata.putManifest(repository, { ...one, tags: [latest] })
      await metadata.putManifest(repository, other)
      await rejectsWith('not_found', metadata.restoreTag(repository, latest, undefined))
      await rejectsWith('not_found', metadata.restoreTag(repository, latest, other.digest))
      await rejectsWith('not_found', metadata.restoreManifest(repository, looseManifest('never').digest))
      await rejectsWith('not_found', metadata.purgeManifest(repository, one.digest))
      await metadata.restoreManifest(repository, one.digest)
    })

    it('a deleted manifest is seen by nobody, keeps its blobs, counts, and comes back as it was', async () => {
      const repository = freshRepository()
      const { manifest, config, layer } = await pushImage(repository, 'a', 'latest', 'v1')
      const used = await assertCounted(repository)
      await metadata.deleteManifest(repository, manifest.digest, { by: alice })
      assert.equal(await hasManifest(repository, manifest), false)
      assert.deepEqual(await metadata.listTags(repository, { limit: 9 }), [])
      assert.equal(await assertCounted(repository), used)
      const [deleted] = await deletedIn(repository)
      assert.deepEqual(deleted, {
        digest: manifest.digest,
        mediaType: manifest.mediaType,
        size: manifest.size,
        deletedAt: new Date(clock.time),
        deletedBy: 'alice',
        goesAt: new Date(clock.time + undeleteMs),
        tags: ['latest', 'v1'],
        isRestorable: true,
      })
      await pass(undeleteMs - 1)
      const back = await metadata.restoreTag(repository, latest, undefined)
      assert.deepEqual(back, { digest: manifest.digest, previous: null, wasDeleted: true })
      assert.deepEqual(await metadata.listTags(repository, { limit: 9 }), ['latest'])
      await pass(30 * graceMs)
      const stored = await metadata.getManifest(repository, parseReference('latest'))
      assert.deepEqual(Buffer.from(stored.bytes), Buffer.from(manifest.bytes))
      assert.ok((await hasBlob(repository, config)) && (await hasBlob(repository, layer)))
      assert.equal(await assertCounted(repository), used)
      assert.deepEqual(await deletedIn(repository), [])
      await rejectsWith('conflict', metadata.unlinkBlob(repository, layer))
    })

    it('when its time is over it goes, and its blobs with it', async () => {
      const repository = freshRepository()
      const { manifest, layer } = await pushImage(repository, 'b', 'latest')
      await pass(30 * graceMs)
      await metadata.deleteManifest(repository, manifest.digest)
      await pass(undeleteMs - 1)
      assert.equal((await deletedIn(repository)).length, 1)
      await pass(1)
      assert.deepEqual(await deletedIn(repository), [])
      await rejectsWith('not_found', metadata.restoreTag(repository, latest, undefined))
      assert.deepEqual(
        (await historyOf(repository)).map(({ isRestorable }) => isRestorable),
        [false, false],
      )
      await assertCounted(repository)
      assert.equal(await hasBlob(repository, layer), false)
      await pass(graceMs)
      assert.equal(await metadata.hasRepository(repository), false)
      assert.equal(await assertCounted(repository), 0)
    })

    it('who is told of a blob that only deleted manifests name finds it for half of the grace, and no later is it gone', async () => {
      const repository = freshRepository()
      const { manifest, config, layer } = await pushImage(repository, 'promised', latest)
      await pass(30 * graceMs)
      await metadata.deleteManifest(repository, manifest.digest)
      await pass(undeleteMs - graceMs / 4)
      assert.ok(await hasBlob(repository, layer))
      await pass(graceMs / 4)
      assert.deepEqual(await deletedIn(repository), [])
      assert.equal((await metadata.holdersOf(config, 9)).length, 0)
      await pass((graceMs * 3) / 4 - 1)
      assert.equal((await metadata.holdersOf(layer, 9)).length, 1)
      await pass(1)
      assert.equal((await metadata.holdersOf(layer, 9)).length, 0)
    })

    it('a blob of two deleted manifests stays until the later one cannot be taken back', async () => {
      const repository = freshRepository()
      const { manifest, layer } = await pushImage(repository, 'first')
      const { config } = await pushImage(repository, 'second')
      const second = imageManifest({ config, layers: [layer] })
      await metadata.putManifest(repository, second)
      await metadata.deleteManifest(repository, second.digest)
      await pass(undeleteMs / 2)
      await metadata.deleteManifest(repository, manifest.digest)
      await pass(undeleteMs / 2)
      // Another look while it is kept, and another one when it is not.
      await pass(undeleteMs / 2 - 1)
      assert.equal((await metadata.holdersOf(layer, 9)).length, 1)
      await metadata.restoreManifest(repository, manifest.digest)
      await pass(1)
      assert.ok(await hasBlob(repository, layer))
      await metadata.deleteManifest(repository, manifest.digest)
      await pass(undeleteMs - 1)
      assert.equal((await metadata.holdersOf(layer, 9)).length, 1)
      await pass(1)
      assert.equal((await metadata.holdersOf(layer, 9)).length, 0)
    })

    it('an index comes back with its images, however deep, and with its referrers', async () => {
      const repository = freshRepository()
      const { manifest: image, layer } = await pushImage(repository, 'deep')
      const { manifest: other } = await pushImage(repository, 'other')
      const inner = indexOf([image.digest], 'all')
      const outer = { ...indexOf([inner.digest, other.digest], 'all'), tags: [latest] }
      const { config } = await pushImage(repository, 'signature')
      const signature = imageManifest({ config, subject: outer.digest })
      const onSignature = imageManifest({ config, subject: signature.digest })
      const all = [inner, outer, signature, onSignature]
      for (const each of all) await metadata.putManifest(repository, each)
      const used = await assertCounted(repository)
      // As clients that know nothing of children clean up: in any order. One image and one referrer stay.
      for (const each of [image, outer, inner, signature])
        await metadata.deleteManifest(repository, each.digest)
      for (let round = 0; round < 3; round++) await pass(undeleteMs / 4)
      assert.equal((await deletedIn(repository)).length, 4)
      assert.equal(await assertCounted(repository), used)
      await metadata.restoreTag(repository, latest, undefined)
      assert.deepEqual(await deletedIn(repository), [])
      for (let round = 0; round < 9; round++) await pass(10 * graceMs)
      for (const each of [image, other, inner, outer, signature, onSignature])
        assert.ok(await hasManifest(repository, each))
      assert.ok(await hasBlob(repository, layer))
      const { referrers } = await metadata.listReferrers(repository, outer.digest, {
        artifactTypes: [],
        maxBytes: 10_000,
      })
      assert.deepEqual(
        referrers.map(({ digest }) => digest),
        [signature.digest],
      )
      assert.deepEqual(await metadata.listParents(repository, image.digest, 9), [inner.digest])
    })

    it('a referrer that was deleted before its subject stays deleted, one whose subject is deleted waits for it', async () => {
      const repository = freshRepository()
      const { config } = await pushImage(repository, 'config')
      const subject = looseManifest(`subject ${repository}`, 'latest')
      const [before, kept] = [
        imageManifest({ config, subject: subject.digest }),
        imageManifest({ config, subject: subject.digest, annotations: { a: 'b' } }),
      ]
      for (const each of [subject, before, kept]) await metadata.putManifest(repository, each)
      await metadata.deleteManifest(repository, before.digest)
      clock.time += 1
      await metadata.deleteManifest(repository, subject.digest)
      await pass(undeleteMs - 2)
      assert.ok(await hasManifest(repository, kept))
      await metadata.restoreTag(repository, latest, undefined)
      assert.equal(await hasManifest(repository, before), false)
      await metadata.deleteManifest(repository, subject.digest)
      await pass(undeleteMs)
      await pass(graceMs - 1)
      assert.equal((await metadata.holdersOf(kept.digest, 9)).length, 1)
      for (let round = 0; round < 3; round++) await pass(graceMs)
      assert.equal((await metadata.holdersOf(kept.digest, 9)).length, 0)
    })

    it('what an index named that can be taken back stays, and goes later than it', async () => {
      const repository = freshRepository()
      const { manifest: image, layer } = await pushImage(repository, 'child')
      const index = { ...indexOf([image.digest], 'all'), tags: [latest] }
      await metadata.putManifest(repository, index)
      await metadata.deleteManifest(repository, image.digest)
      await pass(undeleteMs / 2)
      await metadata.deleteManifest(repository, index.digest)
      await pass(undeleteMs / 2)
      assert.deepEqual(
        (await deletedIn(repository)).map(({ digest, goesAt }) => [digest, goesAt.getTime()]),
        [index, image].map(({ digest }) => [digest, clock.time + undeleteMs / 2]),
      )
      await rejectsWith('conflict', metadata.purgeManifest(repository, image.digest))
      await metadata.restoreTag(repository, latest, undefined)
      assert.ok((await hasManifest(repository, image)) && (await hasBlob(repository, layer)))
      assert.equal(await metadata.forgetDeletedManifests(10), 0)
    })

    it('whatever order they are deleted in, all that an index holds goes no earlier than it, however deep', async () => {
      const repository = freshRepository()
      const { manifest } = await pushImage(repository, 'deep')
      const inner = indexOf([manifest.digest], 'all')
      const outer = indexOf([inner.digest], 'all')
      for (const each of [inner, outer]) await metadata.putManifest(repository, each)
      for (const { digest } of [manifest, inner, outer]) {
        clock.time += 1000
        await metadata.deleteManifest(repository, digest)
      }
      const last = clock.time + undeleteMs
      assert.deepEqual(
        (await deletedIn(repository)).map(({ goesAt }) => goesAt.getTime()),
        [last, last, last],
      )
    })

    it('a referrer that comes back before its subject goes with it', async () => {
      const repository = freshRepository()
      const { digest: config } = await commitText(metadata, repository, `c ${repository}`, clock.time)
      const subject = looseManifest(`gone subject ${repository}`, 'latest')
      const referrer = imageManifest({ config, subject: subject.digest })
      for (const each of [subject, referrer]) await metadata.putManifest(repository, each)
      for (const { digest } of [referrer, subject]) await metadata.deleteManifest(repository, digest)
      await metadata.restoreManifest(repository, referrer.digest)
      const keepsUntagged: ManifestPolicy = { untaggedMs: undefined, referrers: 'delete' }
      for (let time = 0; time < 4; time++) await pass(undeleteMs, keepsUntagged)
      assert.equal(await hasManifest(repository, referrer), false)
      await assertCounted(repository)
    })

    it('a push of the same ends it, and counts once', async () => {
      const repository = freshRepository()
      const { manifest } = await pushImage(repository, 'again', 'latest')
      const used = await assertCounted(repository)
      await metadata.deleteManifest(repository, manifest.digest)
      await metadata.putManifest(repository, manifest)
      assert.equal(await assertCounted(repository), used)
      assert.deepEqual(await deletedIn(repository), [])
      await pass(30 * graceMs)
      assert.equal(await named(repository), manifest.digest)
    })

    it('a blob that only deleted manifests name may be deleted; then they cannot come back', async () => {
      const repository = freshRepository()
      const { manifest, layer } = await pushImage(repository, 'torn', 'latest')
      await metadata.deleteManifest(repository, manifest.digest)
      await metadata.unlinkBlob(repository, layer)
      assert.equal((await deletedIn(repository))[0]?.isRestorable, false)
      assert.equal((await historyOf(repository))[0]?.isRestorable, false)
      await rejectsWith('missing_reference', metadata.restoreTag(repository, latest, undefined))
      await rejectsWith('missing_reference', metadata.restoreManifest(repository, manifest.digest))
      await commitText(metadata, repository, `layer torn ${repository}`, clock.time)
      await metadata.restoreManifest(repository, manifest.digest)
      assert.ok(await hasManifest(repository, manifest))
      assert.equal(await named(repository), undefined)
    })

    it('a sparse index comes back as sparse as it was', async () => {
      const repository = freshRepository()
      const index = { ...indexOf([looseManifest(`absent ${repository}`).digest], 'none'), tags: [latest] }
      await metadata.putManifest(repository, index)
      await metadata.deleteManifest(repository, index.digest)
      assert.equal((await metadata.restoreTag(repository, latest, undefined)).wasDeleted, true)
    })

    it('a purge frees at once what nothing else names', async () => {
      const repository = freshRepository()
      const { manifest: image, layer, config } = await pushImage(repository, 'purged')
      const kept = imageManifest({ config, tags: ['kept'] })
      const index = { ...indexOf([image.digest], 'all'), tags: [latest] }
      for (const each of [kept, index]) await metadata.putManifest(repository, each)
      for (const each of [index, image]) await metadata.deleteManifest(repository, each.digest)
      const used = await assertCounted(repository)
      await metadata.purgeManifest(repository, index.digest, { by: alice })
      assert.deepEqual(await deletedIn(repository), [])
      assert.equal(await hasBlob(repository, layer), false)
      assert.ok(await hasBlob(repository, config))
      const layerSize = `layer purged ${repository}`.length
      assert.equal(await assertCounted(repository), used - index.size - image.size - layerSize)
      const last = await lastEventOf(repository)
      assert.deepEqual([last?.kind, last?.action, last?.digest], ['blob', 'delete', layer])
      await pass(30 * graceMs)
      assert.ok(await hasManifest(repository, kept))
    })

    it('what is deleted for good cannot be taken back', async () => {
      const repository = freshRepository()
      const { manifest } = await pushImage(repository, 'final', 'latest')
      await metadata.deleteManifest(repository, manifest.digest, { isFinal: true })
      assert.deepEqual(await deletedIn(repository), [])
      await rejectsWith('not_found', metadata.restoreTag(repository, latest, undefined))
      await assertCounted(repository)
    })

    it('a tag that may not be changed is not set to something else, but set again', async () => {
      const repository = freshRepository()
      const tenant = tenantOf(repository)
      const [one, two] = [looseManifest(`1 ${repository}`), looseManifest(`2 ${repository}`)]
      for (const each of [one, two]) await metadata.putManifest(repository, { ...each, tags: [latest] })
      await metadata.createTenant({ name: tenant })
      const rule = await metadata.addTagRule({ tenant, repositories: repository, tags: 'latest' })
      await rejectsWith('conflict', metadata.restoreTag(repository, latest, undefined))
      assert.equal(await named(repository), two.digest)
      await rejectsWith('conflict', metadata.deleteManifest(repository, two.digest))
      assert.equal(await named(repository), two.digest)
      await metadata.removeTagRule(tenant, rule.id)
      await metadata.deleteTag(repository, latest)
      await metadata.addTagRule({ tenant, repositories: repository, tags: 'latest' })
      await metadata.restoreTag(repository, latest, undefined)
      assert.equal(await named(repository), two.digest)
    })

    it('deleted manifests are listed in pages, those deleted last first', async () => {
      const repository = freshRepository()
      const manifests = Array.from({ length: 5 }, (_, index) => looseManifest(`${index} ${repository}`))
      for (const each of manifests) await metadata.putManifest(repository, each)
      for (const [index, each] of manifests.entries()) {
        if (index % 2 === 0) clock.time += 1
        await metadata.deleteManifest(repository, each.digest)
      }
      const all = await deletedIn(repository)
      assert.equal(all.length, 5)
      const times = all.map(({ deletedAt }) => deletedAt.getTime())
      assert.deepEqual(
        times,
        times.toSorted((a, b) => b - a),
      )
      const found: Digest[] = []
      for (;;) {
        const last = found.length === 0 ? undefined : all[found.length - 1]
        const after = last && { deletedAt: last.deletedAt.getTime(), digest: last.digest }
        const page = await metadata.listDeletedManifests(repository, { limit: 2, after })
        found.push(...page.map(({ digest }) => digest))
        if (page.length < 2) break
      }
      assert.deepEqual(
        found,
        all.map(({ digest }) => digest),
      )
    })

    it('old changes are forgotten, but not of tags that can come back with their manifest', async () => {
      const repository = freshRepository()
      const { manifest } = await pushImage(repository, 'old', 'latest', 'v1')
      const moved = looseManifest(`moved ${repository}`, 'v1')
      await metadata.putManifest(repository, moved)
      await metadata.deleteManifest(repository, manifest.digest)
      clock.time += 100 * undeleteMs
      while ((await metadata.forgetTagHistory(new Date(clock.time), 2)) === 2);
      assert.deepEqual(await historyOf(repository, parseTag('v1')), [])
      assert.equal((await historyOf(repository)).length, 1)
      await metadata.restoreTag(repository, latest, undefined)
      assert.equal(await named(repository), manifest.digest)
      await pass(1)
    })

    it('says why a deleted manifest, and what only it names, is kept', async () => {
      const repository = freshRepository()
      const { manifest, layer } = await pushImage(repository, 'explained', 'latest')
      await metadata.deleteManifest(repository, manifest.digest)
      const [holding] = await metadata.holdersOf(manifest.digest, 9)
      assert.deepEqual(
        [holding?.kind, holding?.since.getTime(), holding?.goesAt?.getTime()],
        ['manifest', clock.time, clock.time + undeleteMs],
      )
      const { tags, manifests, deleted } = await metadata.namersOf(repository, layer, 9)
      const goesAt = new Date(clock.time + undeleteMs)
      const expected = [{ digest: manifest.digest, deletedAt: new Date(clock.time), goesAt }]
      assert.deepEqual({ tags, manifests, deleted }, { tags: [], manifests: [], deleted: expected })
    })

    describe('races', () => {
      const racer = (index: number): Metadata => (index % 2 === 0 ? opened.metadata : opened.replica)

      it('of a deletion and a push of the same leave one of the two, whole and counted', async () => {
        for (let round = 0; round < 20; round++) {
          const repository = freshRepository()
          const { manifest, layer } = await pushImage(repository, `race ${round}`, 'latest')
          await Promise.all([
            racer(round).deleteManifest(repository, manifest.digest),
            racer(round + 1).putManifest(repository, manifest),
          ])
          const isThere = await hasManifest(repository, manifest)
          assert.equal((await deletedIn(repository)).length, isThere ? 0 : 1)
          assert.equal(await named(repository), isThere ? manifest.digest : undefined)
          await assertCounted(repository)
          await pass(1)
          assert.ok(await hasBlob(repository, layer))
        }
      })

      it('of a restore and of what forgets bring it back whole, or say that it is gone', async () => {
        for (let round = 0; round < 20; round++) {
          const repository = freshRepository()
          const { manifest: image, layer } = await pushImage(repository, `late ${round}`)
          const index = { ...indexOf([image.digest], 'all'), tags: [latest] }
          await metadata.putManifest(repository, index)
          for (const each of [image, index]) await metadata.deleteManifest(repository, each.digest)
          clock.time += undeleteMs
          const forget = async (one: Metadata) => {
            while ((await one.forgetDeletedManifests(10)) > 0);
          }
          const [isBack] = await Promise.all([
            has(racer(round).restoreTag(repository, latest, undefined)),
            forget(racer(round + 1)),
            forget(racer(round)),
          ])
          assert.equal(await named(repository), isBack ? index.digest : undefined)
          await assertCounted(repository)
          for (let later = 0; later < 4; later++) await pass(graceMs)
          assert.equal(await hasManifest(repository, image), isBack)
          assert.equal(await hasBlob(repository, layer), isBack)
          assert.deepEqual(await deletedIn(repository), [])
        }
      })
    })

    it('nothing is done for a caller who has gone', async () => {
      const options = { signal: AbortSignal.abort(new Error('gone')) }
      const repository = freshRepository()
      const { digest } = looseManifest('x')
      for (const call of [
        () => metadata.listTagHistory(repository, latest, { limit: 1 }, options),
        () => metadata.listDeletedManifests(repository, { limit: 1 }, options),
        () => metadata.restoreTag(repository, latest, undefined, options),
        () => metadata.restoreManifest(repository, digest, options),
        () => metadata.purgeManifest(repository, digest, options),
        () => metadata.forgetDeletedManifests(1, options),
        () => metadata.forgetTagHistory(new Date(0), 1, options),
      ])
        await assert.rejects(async () => await call(), { message: 'gone' })
    })
  })
}

async function has(attempt: Promise<unknown>): Promise<boolean> {
  return attempt.then(
    () => true,
    (error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'not_found') return false
      throw error
    },
  )
}

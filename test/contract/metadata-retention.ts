import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { parseTenantName, type TenantName } from '../../src/storage/accounts/names.ts'
import type { ManifestPolicy } from '../../src/storage/metadata/collect-records.ts'
import { defaultKeepTimes } from '../../src/storage/metadata/keep-times.ts'
import type { NewManifest } from '../../src/storage/metadata/manifest-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import {
  parseReference,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
} from '../../src/storage/reference.ts'
import { freshTenant } from '../support/account-records.ts'
import { commitText, freshRepository, imageManifest, indexOf, looseManifest } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

const { graceMs, undeleteMs } = defaultKeepTimes
const waitMs = Math.max(graceMs, undeleteMs)
const keepAll: ManifestPolicy = { untaggedMs: undefined, referrers: 'delete' }

/** The executable half of RetentionRecords. */
export function retentionContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`${name} as RetentionRecords`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    let metadata: Metadata
    before(async () => {
      opened = await open(() => clock.time)
      metadata = opened.metadata
    })
    after(() => opened.close())

    const v1 = parseTag('v1')
    const now = () => new Date(clock.time)
    async function newTenant(): Promise<TenantName> {
      const { name: tenant } = await metadata.createTenant({ name: freshTenant() })
      return tenant
    }
    async function collect(): Promise<void> {
      while ((await metadata.reviewManifests(keepAll, 7)).seen === 7);
      while ((await metadata.reviewLinks(7)).seen === 7);
    }
    async function pass(ms: number): Promise<void> {
      clock.time += ms
      await collect()
    }
    async function push(repository: RepositoryName, manifest: NewManifest): Promise<void> {
      clock.time += 1
      await metadata.putManifest(repository, manifest)
    }
    async function has(repository: RepositoryName, { digest }: NewManifest): Promise<boolean> {
      const rows = await metadata.holdersOf(digest, 1000)
      return rows.some(row => row.repository === repository && row.kind === 'manifest')
    }
    async function factsOf(repository: RepositoryName) {
      return (await metadata.findTagFacts(repository, v1)) ?? assert.fail('no such tag')
    }
    async function expire(repository: RepositoryName, more: { notPulledSince?: Date; dueBy?: Date } = {}) {
      const { tag, digest, pushedAt: setAt } = await factsOf(repository)
      return await metadata.expireTag({ repository, tag, digest, setAt, ...more })
    }

    it('keeps policies by tenant, in their order, and lets them go with it', async () => {
      const [one, other] = [await newTenant(), await newTenant()]
      const added = [
        await metadata.addRetentionPolicy({ tenant: one, rules: '{"a":1}' }),
        await metadata.addRetentionPolicy({ tenant: other, rules: '{"b":1}' }),
        await metadata.addRetentionPolicy({ tenant: one, rules: '{"c":1}' }),
      ]
      assert.deepEqual(await metadata.listRetentionPolicies(one), [added[0], added[2]])
      const ids = new Set(added.map(({ id }) => id))
      const all = await metadata.listRetentionPolicies(undefined)
      assert.deepEqual(
        all.filter(({ id }) => ids.has(id)),
        added,
      )
      await rejectsWith('not_found', metadata.removeRetentionPolicy(other, added[0]?.id ?? ''))
      await metadata.removeRetentionPolicy(one, added[0]?.id ?? '')
      await rejectsWith('not_found', metadata.removeRetentionPolicy(one, added[0]?.id ?? ''))
      assert.deepEqual(await metadata.listRetentionPolicies(one), [added[2]])
      await rejectsWith(
        'not_found',
        metadata.addRetentionPolicy({ tenant: parseTenantName('nobody-here'), rules: '{}' }),
      )
    })

    it('gives the lease to one at a time, and counts what a run does', async () => {
      const until = new Date(clock.time + 1000)
      assert.ok(await metadata.leaseRetention({ holder: 'a', until }))
      assert.ok(!(await opened.replica.leaseRetention({ holder: 'b', until })))
      await metadata.releaseRetention('a')
      assert.ok(await opened.replica.leaseRetention({ holder: 'b', until }))
      await metadata.releaseRetention('b')

      const place = freshRepository()
      await metadata.beginRetention()
      const done = { repositories: 1, tags: 2, manifests: 3, skipped: 4 }
      await metadata.saveRetention({ place, done })
      await metadata.saveRetention({ place, done })
      await metadata.saveLabelPosition(17)
      assert.deepEqual(await opened.replica.retentionState(), {
        beganAt: now(),
        endedAt: null,
        place,
        totals: { repositories: 2, tags: 4, manifests: 6, skipped: 8 },
        labelsAt: 17,
      })
      clock.time += 5
      await metadata.saveRetention({ place: null, isEnded: true, done })
      const ended = await metadata.retentionState()
      assert.deepEqual([ended.place, ended.endedAt, ended.totals.tags], [null, now(), 6])
      await metadata.beginRetention()
      const { totals, endedAt } = await metadata.retentionState()
      assert.deepEqual([totals.tags, endedAt], [0, null])
    })

    it('tells of tags in byte order what rules ask about', async () => {
      const repository = freshRepository()
      const [one, two] = [
        looseManifest(`one ${repository}`, 'B', 'a'),
        looseManifest(`two ${repository}`, 'z'),
      ]
      await push(repository, one)
      const firstAt = now()
      await push(repository, two)
      const at = new Date(clock.time + 7)
      await metadata.notePulled([{ repository, digest: one.digest, at }])
      const facts = await metadata.listTagFacts(repository, undefined, 10)
      const plain = { expiresAt: null, isImmutable: false, isOwnerPresent: null }
      assert.deepEqual(facts, [
        { tag: 'B', digest: one.digest, pushedAt: firstAt, pulledAt: at, ...plain },
        { tag: 'a', digest: one.digest, pushedAt: firstAt, pulledAt: at, ...plain },
        { tag: 'z', digest: two.digest, pushedAt: now(), pulledAt: null, ...plain },
      ])
      assert.deepEqual(await metadata.listTagFacts(repository, parseTag('B'), 1), [facts[1]])
      assert.equal(await metadata.findTagFacts(repository, parseTag('b')), undefined)
    })

    it('tells whether what a tag belongs to by its name is there', async () => {
      const repository = freshRepository()
      const image = looseManifest(`image ${repository}`, 'image')
      const gone = looseManifest(`gone ${repository}`)
      const names = [image, gone].map(({ digest }) => `${digest.replace(':', '-')}.sig`)
      await push(repository, image)
      await push(repository, looseManifest(`signature ${repository}`, ...names, `sha512-${'0'.repeat(64)}`))
      const facts = await metadata.listTagFacts(repository, undefined, 10)
      const ownerOf = (tag: string) => facts.find(each => each.tag === tag)?.isOwnerPresent
      assert.deepEqual(names.map(ownerOf), [true, false])
      assert.equal(ownerOf('image'), null)
      assert.equal(ownerOf(`sha512-${'0'.repeat(64)}`), true, 'nobody can tell')
    })

    it('drops a tag, and its manifest after the time to take it back, with its blobs after their grace', async () => {
      const repository = freshRepository()
      const blob = await commitText(metadata, repository, `layer of ${repository}`, clock.time)
      const image = imageManifest({ config: blob.digest, tags: ['v1'] })
      await push(repository, image)
      await pass(100 * graceMs)
      assert.ok(await expire(repository))
      assert.equal(await metadata.findTagFacts(repository, v1), undefined)
      await pass(waitMs - 1)
      assert.ok(await has(repository, image))
      await pass(1)
      assert.ok(!(await has(repository, image)))
      await pass(graceMs)
      await rejectsWith('not_found', metadata.findBlob(repository, blob.digest))
      const [last] = await metadata.listTagHistory(repository, v1, { limit: 1 })
      assert.deepEqual([last?.cause, last?.digest, last?.previous], ['expire', null, image.digest])
    })

    it('does nothing to a tag that has changed since it was decided on', async () => {
      const repository = freshRepository()
      const image = looseManifest(`same ${repository}`, 'v1')
      await push(repository, image)
      const { tag, digest, pushedAt: setAt } = await factsOf(repository)
      await push(repository, image)
      assert.ok(!(await metadata.expireTag({ repository, tag, digest, setAt })), 'pushed anew')
      await push(repository, looseManifest(`other ${repository}`, 'v1'))
      assert.ok(
        !(await metadata.expireTag({ repository, tag, digest, setAt: now() })),
        'names something else',
      )
      await metadata.deleteTag(repository, v1)
      assert.ok(!(await metadata.expireTag({ repository, tag, digest, setAt: now() })), 'gone')
    })

    it('does nothing to a tag that was pulled since, or whose time has not come, or that may not be changed', async () => {
      const tenant = await newTenant()
      const repository = parseRepositoryName(`${tenant}/app`)
      await push(repository, looseManifest(`pulled ${repository}`, 'v1'))
      const { digest } = await factsOf(repository)
      const at = new Date(clock.time + 1000)
      await metadata.notePulled([{ repository, digest, at }])
      assert.ok(!(await expire(repository, { notPulledSince: at })))
      assert.ok(!(await expire(repository, { dueBy: at })), 'no time is set')
      await metadata.setTagExpiry(repository, v1, new Date(clock.time + 2000))
      assert.ok(!(await expire(repository, { dueBy: at })))
      const rule = await metadata.addTagRule({ tenant, repositories: `${tenant}/**`, tags: 'v*' })
      assert.ok((await factsOf(repository)).isImmutable)
      assert.ok(!(await expire(repository)))
      await rejectsWith('conflict', metadata.setTagExpiry(repository, v1, at))
      await metadata.setTagExpiry(repository, v1, undefined)
      await metadata.removeTagRule(tenant, rule.id)
      assert.ok(await expire(repository, { notPulledSince: new Date(at.getTime() + 1) }))
    })

    it('and a push at the same time leave the tag to the push, and what it names to the tag', async () => {
      const repository = freshRepository()
      const names = Array.from({ length: 60 }, (_, n) => parseTag(`v${n}`))
      const image = (tag: string) => looseManifest(`${tag} ${repository}`, tag)
      for (const tag of names) await push(repository, image(tag))
      const facts = await metadata.listTagFacts(repository, undefined, 100)
      clock.time += 1
      const expired = await Promise.all(
        facts.flatMap(({ tag, digest, pushedAt: setAt }) => [
          metadata.expireTag({ repository, tag, digest, setAt }),
          opened.replica.putManifest(repository, image(tag)).then(() => undefined),
        ]),
      )
      assert.equal(expired.length, 120)
      assert.deepEqual(await metadata.listTags(repository, { limit: 100 }), [...names].sort())
      await pass(100 * waitMs)
      for (const tag of names) await metadata.getManifest(repository, parseReference(tag))
    })

    it('keeps what another tag names, and takes the images of an index with it that only it names', async () => {
      const repository = freshRepository()
      const images = ['shared', 'own', 'tagged'].map(text => looseManifest(`${text} ${repository}`))
      const [shared, own, tagged] = images as [NewManifest, NewManifest, NewManifest]
      for (const image of images) await push(repository, image)
      const [going, staying] = [
        { ...indexOf([shared.digest, own.digest, tagged.digest], 'none'), tags: [v1, parseTag('twin')] },
        { ...indexOf([shared.digest], 'none'), tags: [parseTag('staying')] },
      ]
      for (const index of [going, staying]) await push(repository, index)
      await push(repository, { ...tagged, tags: [parseTag('tagged')] })
      await pass(100 * graceMs)
      assert.ok(await expire(repository))
      await pass(10 * waitMs)
      assert.ok(await has(repository, going), 'its other tag keeps it')
      const twin = (await metadata.findTagFacts(repository, parseTag('twin'))) ?? assert.fail()
      assert.ok(
        await metadata.expireTag({ repository, tag: twin.tag, digest: twin.digest, setAt: twin.pushedAt }),
      )
      await pass(waitMs)
      assert.ok(!(await has(repository, going)))
      await pass(waitMs)
      const left = await Promise.all([shared, own, tagged, staying].map(each => has(repository, each)))
      assert.deepEqual(left, [true, false, true, true])
      // What was dropped with an index is nothing that others are dropped for later.
      await metadata.deleteTag(repository, parseTag('tagged'))
      await pass(100 * waitMs)
      assert.ok(await has(repository, tagged))
    })

    it('keeps what was dropped and is put, tagged or pulled by its digest again', async () => {
      const repository = freshRepository()
      const image = looseManifest(`again ${repository}`, 'v1')
      for (const again of [
        async () => await metadata.putManifest(repository, { ...image, tags: [] }),
        async () => await metadata.putManifest(repository, image),
      ]) {
        await push(repository, image)
        assert.ok(await expire(repository))
        clock.time += waitMs - 1
        await again()
        await pass(100 * waitMs)
        assert.ok(await has(repository, image))
      }
      await push(repository, image)
      assert.ok(await expire(repository))
      await pass(waitMs - 1)
      await metadata.getManifest(repository, parseReference(image.digest))
      await pass(waitMs - 1)
      assert.ok(await has(repository, image), 'a whole wait since it was pulled')
      await pass(1)
      assert.ok(!(await has(repository, image)))
    })

    it('keeps what was dropped and brought back by its tag, also when that is deleted later', async () => {
      const repository = freshRepository()
      const image = looseManifest(`back ${repository}`, 'v1')
      await push(repository, image)
      assert.ok(await expire(repository))
      await metadata.restoreTag(repository, v1, undefined)
      await metadata.deleteTag(repository, v1)
      await pass(100 * waitMs)
      assert.ok(await has(repository, image), 'what has no tag stays where no policy says otherwise')
    })

    it('lets what was dropped go when a deleted index that names it has gone', async () => {
      const repository = freshRepository()
      const image = looseManifest(`in deleted ${repository}`, 'v1')
      await push(repository, image)
      const index = { ...indexOf([image.digest], 'none'), tags: [parseTag('index')] }
      await push(repository, index)
      await metadata.deleteManifest(repository, index.digest)
      assert.ok(await expire(repository))
      await pass(undeleteMs / 2)
      assert.ok(await has(repository, image))
      clock.time += undeleteMs
      await metadata.forgetDeletedManifests(100)
      for (let round = 0; round < 4; round++) await pass(waitMs)
      assert.ok(!(await has(repository, image)))
    })

    it('finds what nothing names, and drops it if that is still so', async () => {
      const repository = freshRepository()
      const [loose, child, other] = ['loose', 'child', 'other'].map(text =>
        looseManifest(`${text} ${repository}`),
      ) as [NewManifest, NewManifest, NewManifest]
      const tagged = looseManifest(`tagged ${repository}`, 'v1')
      const referrer = imageManifest({ subject: tagged.digest, annotations: { repository } })
      const index = { ...indexOf([child.digest], 'none'), tags: [parseTag('index')] }
      const blob = await commitText(metadata, repository, '{}', clock.time)
      assert.equal(blob.size, 2)
      for (const each of [loose, child, other, tagged, referrer, index]) await push(repository, each)
      const found = await metadata.listUntagged(repository, undefined, 10)
      assert.deepEqual(
        found.map(({ digest }) => digest),
        [loose.digest, other.digest].sort(),
      )
      assert.deepEqual(await metadata.listUntagged(repository, found[0]?.digest, 10), found.slice(1))
      const since = (digest: string) => found.find(each => each.digest === digest)?.since ?? assert.fail()
      assert.ok(
        !(await metadata.dropUntagged(repository, loose.digest, new Date(since(loose.digest).getTime() - 1))),
      )
      await metadata.notePulled([{ repository, digest: other.digest, at: new Date(clock.time + 1) }])
      assert.ok(!(await metadata.dropUntagged(repository, other.digest, since(other.digest))))
      for (const each of [child, tagged, referrer, index])
        assert.ok(!(await metadata.dropUntagged(repository, each.digest, now())))
      assert.ok(await metadata.dropUntagged(repository, loose.digest, since(loose.digest)))
      assert.ok(!(await metadata.dropUntagged(repository, loose.digest, since(loose.digest))))
      assert.equal((await metadata.listUntagged(repository, undefined, 10)).length, 1)
      await pass(waitMs)
      const left = await Promise.all(
        [loose, child, other, tagged, referrer].map(each => has(repository, each)),
      )
      assert.deepEqual(left, [false, true, true, true, true])
    })

    it('lists tags whose time has come, oldest first, until they are pushed again', async () => {
      const repository = freshRepository()
      const image = looseManifest(`timed ${repository}`, 'v1', 'v2', 'v3')
      await push(repository, image)
      const start = clock.time
      const set = async (tag: string, ms: number) =>
        await metadata.setTagExpiry(repository, parseTag(tag), new Date(start + ms))
      await set('v1', 300)
      await set('v2', 200)
      await set('v3', 100)
      await rejectsWith('not_found', metadata.setTagExpiry(repository, parseTag('v4'), now()))
      assert.equal((await factsOf(repository)).expiresAt?.getTime(), start + 300)
      const due = async () =>
        (await metadata.listExpiredTags(new Date(start + 250), 100))
          .filter(each => each.repository === repository)
          .map(({ tag }) => tag)
      assert.deepEqual(await due(), ['v3', 'v2'])
      await push(repository, { ...image, tags: [parseTag('v3')] })
      assert.deepEqual(await due(), ['v2'], 'it was pushed again, though it is the same')
      assert.ok((await metadata.forgetTagExpiries(new Date(start + 250), 100)) >= 1)
      await metadata.setTagExpiry(repository, parseTag('v2'), undefined)
      assert.deepEqual(await due(), [])
      const all = await metadata.listExpiredTags(new Date(start + 300), 100)
      const first = all.find(each => each.repository === repository) ?? assert.fail()
      await metadata.dropTagExpiry(first)
      assert.equal((await factsOf(repository)).expiresAt, null)
    })

    it('does what somebody has set, not what a label says, until the next push', async () => {
      const repository = freshRepository()
      const image = looseManifest(`labelled ${repository}`, 'v1')
      await push(repository, image)
      const note = async (setAt = now()) =>
        await metadata.noteTagExpiry({
          repository,
          tag: v1,
          digest: image.digest,
          setAt,
          expiresAt: new Date(clock.time + 1000),
        })
      assert.ok(await note())
      assert.ok(await note(), 'twice is nothing new')
      assert.ok(!(await note(new Date(clock.time - 1))), 'of another push')
      await metadata.setTagExpiry(repository, v1, undefined)
      assert.ok(!(await note()))
      assert.equal((await factsOf(repository)).expiresAt, null)
      await push(repository, image)
      assert.ok(await note())
      assert.ok((await factsOf(repository)).expiresAt)
    })
  })
}

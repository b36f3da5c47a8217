import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { tenantOf } from '../../src/storage/accounts/names.ts'
import type { Digest } from '../../src/storage/digest.ts'
import type { ManifestPolicy } from '../../src/storage/metadata/collect-records.ts'
import { isContentEvent } from '../../src/storage/metadata/event-records.ts'
import { defaultKeepTimes } from '../../src/storage/metadata/keep-times.ts'
import type { NewManifest } from '../../src/storage/metadata/manifest-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { adoptedObjectKey } from '../../src/storage/objects/keys.ts'
import {
  parseReference,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
} from '../../src/storage/reference.ts'
import {
  commitText,
  freshRepository,
  imageManifest,
  indexOf,
  looseManifest,
  newUpload,
} from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

const { graceMs, objectDelayMs, undeleteMs } = defaultKeepTimes
const hourMs = 60 * 60 * 1000
const keepAll: ManifestPolicy = { untaggedMs: undefined, referrers: 'keep' }
const strict: ManifestPolicy = { untaggedMs: 48 * hourMs, referrers: 'delete' }

/** The executable half of CollectRecords, with the default times. */
export function collectContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`${name} as CollectRecords`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    let metadata: Metadata
    before(async () => {
      opened = await open(() => clock.time)
      metadata = opened.metadata
    })
    after(() => opened.close())

    async function collect(policy: ManifestPolicy = keepAll): Promise<void> {
      while ((await metadata.forgetDeletedManifests(7)) > 0);
      while ((await metadata.reviewManifests(policy, 7)).seen === 7);
      while ((await metadata.reviewLinks(7)).seen === 7);
      while ((await metadata.reviewRepositories(7)).seen === 7);
    }
    /** So that what is due at that moment has gone. */
    async function pass(ms: number, policy?: ManifestPolicy): Promise<void> {
      clock.time += ms
      await collect(policy)
    }
    const hasBlob = (repository: RepositoryName, digest: Digest) => has(metadata.findBlob(repository, digest))
    const hasManifest = (repository: RepositoryName, { digest }: NewManifest) =>
      has(metadata.statManifest(repository, parseReference(digest)))
    const commit = (repository: RepositoryName, text: string) =>
      commitText(metadata, repository, `${text} of ${repository}`, clock.time)
    async function usedBy(repository: RepositoryName): Promise<[bytes: number, repositories: number]> {
      const { bytes, repositories } = await metadata.getUsage(tenantOf(repository))
      const counted = await metadata.recountUsage(tenantOf(repository))
      assert.deepEqual([bytes, repositories], [counted.bytes, counted.repositories])
      return [bytes, repositories]
    }

    it('a blob that no manifest names goes after its grace, and its object after the delay', async () => {
      const repository = freshRepository()
      const [bytesBefore] = await usedBy(repository)
      const { digest, size, objectKey } = await commit(repository, 'unnamed')
      await pass(graceMs - 1)
      assert.equal((await usedBy(repository))[0], bytesBefore + size)
      await pass(1)
      assert.equal(await hasBlob(repository, digest), false)
      assert.equal((await usedBy(repository))[0], bytesBefore)
      assert.ok(!(await metadata.listGarbage(1000)).includes(objectKey))
      const goesAt = await metadata.findGarbageOf(digest)
      assert.equal(goesAt?.getTime(), clock.time + objectDelayMs)

      const again = await commit(repository, 'unnamed')
      assert.notEqual(again.objectKey, objectKey, 'who pushes it again brings its bytes')
      clock.time += objectDelayMs
      assert.ok((await metadata.listGarbage(1000)).includes(objectKey))
      assert.ok(!(await metadata.listGarbage(1000)).includes(again.objectKey))
    })

    it('whoever is told that a blob is there finds it there for half of the grace', async () => {
      const repository = freshRepository()
      const { digest } = await commit(repository, 'asked for')
      await pass(graceMs - 1)
      for (let round = 0; round < 6; round++) {
        assert.ok(await hasBlob(repository, digest))
        await pass(graceMs / 2 - 1)
      }
      assert.ok(await hasBlob(repository, digest))
      await pass(graceMs)
      await pass(graceMs)
      assert.equal(await hasBlob(repository, digest), false)
    })

    it('a mount and a second push keep it as well', async () => {
      const [from, repository] = [freshRepository(), freshRepository()]
      const { digest } = await commit(from, 'mounted')
      await metadata.linkBlob({ repository, from, digest })
      await pass(graceMs - 1)
      await metadata.linkBlob({ repository, from, digest })
      const upload = newUpload(from, clock.time)
      await metadata.createUpload(upload)
      await metadata.commitBlob({ ...upload, digest, size: 1, uploadId: upload.id })
      await pass(graceMs - 1)
      assert.ok((await hasBlob(repository, digest)) && (await hasBlob(from, digest)))
    })

    it('what a manifest names stays, and goes when the last of them cannot be taken back and its grace is over', async () => {
      const repository = freshRepository()
      const blob = await commit(repository, 'layer')
      const parts = { config: blob.digest, layers: [blob.digest] }
      const [one, two] = [
        imageManifest({ ...parts, tags: ['one'] }),
        imageManifest({ ...parts, annotations: { a: 'b' }, tags: ['two'] }),
      ]
      for (const manifest of [one, two]) await metadata.putManifest(repository, manifest)
      await pass(100 * graceMs)
      await metadata.deleteManifest(repository, one.digest)
      await pass(100 * graceMs)
      assert.ok(await hasBlob(repository, blob.digest))
      await metadata.deleteManifest(repository, two.digest)
      await pass(Math.max(undeleteMs, graceMs) - 1)
      const { reviewAt } = (await metadata.holdersOf(blob.digest, 9))[0] ?? assert.fail()
      assert.equal(reviewAt?.getTime(), clock.time + 1)
      await pass(1)
      assert.equal(await hasBlob(repository, blob.digest), false)
    })

    it('a blob stays as long as one repository has it, and counts where it is', async () => {
      const [kept, dropped] = [freshRepository(), freshRepository()]
      const { digest, objectKey } = await commit(kept, 'shared')
      await metadata.putManifest(kept, imageManifest({ config: digest, tags: ['v1'] }))
      await metadata.linkBlob({ repository: dropped, from: kept, digest })
      await pass(graceMs)
      assert.equal(await hasBlob(dropped, digest), false)
      assert.equal((await metadata.findBlob(kept, digest)).objectKey, objectKey)
      assert.equal(await metadata.findGarbageOf(digest), undefined)
    })

    it('a manifest without a tag stays, unless a policy says how long', async () => {
      const repository = freshRepository()
      const [kept, untagged] = [
        looseManifest(`kept ${repository}`, 'kept'),
        looseManifest(`untagged ${repository}`),
      ]
      for (const manifest of [kept, untagged]) await metadata.putManifest(repository, manifest)
      await pass(100 * graceMs)
      assert.ok(await hasManifest(repository, untagged))
      while (await metadata.enqueueUntagged(true, 3));
      await pass(0, strict)
      await pass(48 * hourMs - 1, strict)
      assert.equal((await metadata.holdersOf(untagged.digest, 9)).length, 1)
      const before = await usedBy(repository)
      await pass(1, strict)
      assert.equal(await hasManifest(repository, untagged), false)
      assert.ok(await hasManifest(repository, kept))
      assert.equal((await usedBy(repository))[0], before[0] - untagged.size)
      const events = (await metadata.listEvents({ after: 0, limit: 10_000 })).filter(isContentEvent)
      const deletion = events.find(({ digest, action }) => digest === untagged.digest && action === 'delete')
      assert.deepEqual([deletion?.kind, deletion?.by], ['manifest', undefined])
      await metadata.enqueueUntagged(false, 3)
    })

    it('a tag that moves or goes lets go of what it named, and a new one keeps it', async () => {
      const repository = freshRepository()
      const [moved, gone, back] = ['moved', 'gone', 'back'].map(tag =>
        looseManifest(`${tag} ${repository}`, tag),
      )
      if (moved === undefined || gone === undefined || back === undefined) assert.fail()
      for (const manifest of [moved, gone, back]) await metadata.putManifest(repository, manifest)
      await pass(graceMs, strict)
      await metadata.putManifest(repository, looseManifest(`next ${repository}`, 'moved'))
      await metadata.deleteTag(repository, parseTag('gone'))
      await metadata.deleteTag(repository, parseTag('back'))
      await pass(47 * hourMs, strict)
      await metadata.putManifest(repository, back)
      await pass(hourMs, strict)
      assert.deepEqual(
        await Promise.all([moved, gone, back].map(manifest => hasManifest(repository, manifest))),
        [false, false, true],
      )
    })

    it('an index keeps its images, however deep, and takes them with it after a grace for each step', async () => {
      const repository = freshRepository()
      const image = imageManifest({ config: (await commit(repository, 'config')).digest })
      const inner = indexOf([image.digest], 'all')
      const outer = { ...indexOf([inner.digest], 'all'), tags: [parseTag('all')] }
      for (const manifest of [image, inner, outer]) await metadata.putManifest(repository, manifest)
      await pass(30 * graceMs, strict)
      assert.ok(await hasManifest(repository, image))
      await metadata.deleteTag(repository, parseTag('all'))
      for (const [index, manifest] of [outer, inner, image].entries()) {
        await pass(index === 0 ? 48 * hourMs - 1 : graceMs - 1, strict)
        assert.equal((await metadata.holdersOf(manifest.digest, 9)).length, 1)
        await pass(1, strict)
        assert.equal((await metadata.holdersOf(manifest.digest, 9)).length, 0)
      }
      await pass(graceMs, strict)
      assert.equal(
        (await metadata.holdersOf(image.edges[0]?.descriptor.digest ?? assert.fail(), 9)).length,
        0,
      )
    })

    it('an image that lost its own tag after its index did waits as long as any other', async () => {
      const repository = freshRepository()
      const image = { ...looseManifest(`tagged child ${repository}`), tags: [parseTag('child')] }
      const index = { ...indexOf([image.digest], 'all'), tags: [parseTag('all')] }
      for (const manifest of [image, index]) await metadata.putManifest(repository, manifest)
      await metadata.deleteTag(repository, parseTag('all'))
      await pass(48 * hourMs - 1, strict)
      await metadata.deleteTag(repository, parseTag('child'))
      await pass(1, strict)
      assert.equal((await metadata.holdersOf(index.digest, 9)).length, 0)
      await pass(48 * hourMs - 2, strict)
      assert.equal((await metadata.holdersOf(image.digest, 9)).length, 1)
      await pass(1, strict)
      assert.equal((await metadata.holdersOf(image.digest, 9)).length, 0)
    })

    it('referrers stay with their subject; when it was deleted they go, or do not, as the policy says', async () => {
      for (const policy of [strict, keepAll]) {
        const repository = freshRepository()
        const config = (await commit(repository, 'c')).digest
        const subject = looseManifest(`subject ${repository}`, 'v1')
        const signature = imageManifest({ config, subject: subject.digest })
        const onSignature = imageManifest({ config, subject: signature.digest })
        const tagged = imageManifest({
          config,
          subject: subject.digest,
          annotations: { a: 'b' },
          tags: ['sha256-x.sig'],
        })
        const all = [subject, signature, onSignature, tagged]
        for (const manifest of all) await metadata.putManifest(repository, manifest)
        await pass(30 * graceMs, policy)
        for (const manifest of all) assert.ok(await hasManifest(repository, manifest))
        await metadata.deleteManifest(repository, subject.digest)
        await pass(graceMs - 1, policy)
        assert.equal((await metadata.holdersOf(signature.digest, 9)).length, 1)
        for (let round = 0; round < 3; round++) await pass(graceMs, policy)
        const isKept = policy === keepAll
        assert.equal(await hasManifest(repository, signature), isKept)
        assert.equal(await hasManifest(repository, onSignature), isKept)
        assert.ok(await hasManifest(repository, tagged))
      }
    })

    it('a referrer whose subject comes back stays', async () => {
      const repository = freshRepository()
      const config = (await commit(repository, 'c')).digest
      const subject = looseManifest(`returning ${repository}`, 'v1')
      const signature = imageManifest({ config, subject: subject.digest })
      for (const manifest of [subject, signature]) await metadata.putManifest(repository, manifest)
      await metadata.deleteManifest(repository, subject.digest)
      await pass(graceMs / 2, strict)
      await metadata.putManifest(repository, subject)
      await pass(30 * graceMs, strict)
      assert.ok(await hasManifest(repository, signature))
    })

    it('whoever is told that a manifest is there finds it there for half of the grace', async () => {
      const repository = freshRepository()
      const manifest = looseManifest(`asked for ${repository}`)
      await metadata.putManifest(repository, manifest)
      await pass(48 * hourMs - 1, strict)
      for (let round = 0; round < 6; round++) {
        assert.ok(await hasManifest(repository, manifest))
        await pass(graceMs / 2 - 1, strict)
      }
    })

    it('an empty repository vanishes, unless somebody uploads to it', async () => {
      const [empty, busy] = ['empty', 'busy'].map(rest => parseRepositoryName(`${randomUUID()}/${rest}`))
      if (empty === undefined || busy === undefined) assert.fail()
      for (const repository of [empty, busy]) {
        const manifest = looseManifest(`only one ${repository}`, 'v1')
        await metadata.putManifest(repository, manifest)
        await metadata.deleteManifest(repository, manifest.digest)
      }
      await pass(undeleteMs)
      await pass(graceMs - 1)
      assert.ok(await metadata.hasRepository(empty))
      await metadata.createUpload(newUpload(busy, clock.time))
      await pass(1)
      assert.deepEqual(
        [await metadata.hasRepository(empty), await metadata.hasRepository(busy)],
        [false, true],
      )
      await pass(graceMs)
      assert.equal(await metadata.hasRepository(busy), false)
      assert.deepEqual(await usedBy(empty), [0, 0])
    })

    it('what was adopted, went and is adopted again is taken back, unless it is about to be deleted', async () => {
      const repository = freshRepository()
      const objectKey = adoptedObjectKey(`docker/${repository}`) ?? assert.fail()
      const { digest } = await commit(freshRepository(), 'for its digest')
      const own = await commit(repository, 'another')
      const blob = { repository, digest: own.digest, size: own.size, objectKey }
      await pass(graceMs)
      await metadata.adoptBlob(blob)
      await pass(graceMs)
      assert.equal(await hasBlob(repository, own.digest), false)
      await metadata.adoptBlob(blob)
      clock.time += objectDelayMs
      assert.ok(!(await metadata.listGarbage(1000)).includes(objectKey))
      await pass(graceMs)
      clock.time += objectDelayMs
      await rejectsWith('busy', metadata.adoptBlob(blob))
      assert.ok((await metadata.listGarbage(1000)).includes(objectKey))
      assert.notEqual(digest, own.digest)
    })

    it('what is about to be adopted again is not deleted while its bytes are read', async () => {
      const repository = freshRepository()
      const objectKey = adoptedObjectKey(`docker/held/${repository}`) ?? assert.fail()
      const own = await commit(repository, 'held')
      const blob = { repository, digest: own.digest, size: own.size, objectKey }
      await metadata.holdObject(objectKey)
      await pass(graceMs)
      await metadata.adoptBlob(blob)
      await pass(graceMs)
      await metadata.holdObject(objectKey)
      // As long as it takes to read them.
      clock.time += 2 * objectDelayMs
      assert.ok(!(await metadata.listGarbage(1000)).includes(objectKey))
      await metadata.adoptBlob(blob)
      assert.equal(await hasBlob(repository, own.digest), true)
    })

    it('what another replica, whose clock is ahead, may be deleting is not adopted again', async () => {
      const repository = freshRepository()
      const objectKey = adoptedObjectKey(`docker/skew/${repository}`) ?? assert.fail()
      const own = await commit(repository, 'skew')
      const blob = { repository, digest: own.digest, size: own.size, objectKey }
      await pass(graceMs)
      await metadata.adoptBlob(blob)
      await pass(graceMs)
      clock.time += objectDelayMs - 1000
      await rejectsWith('busy', metadata.holdObject(objectKey))
      await rejectsWith('busy', metadata.adoptBlob(blob))
    })

    it('a referrer that is pushed again after its subject was deleted is like one that is new', async () => {
      const repository = freshRepository()
      const blob = await commit(repository, 'signature')
      const subject = looseManifest(`subject ${repository}`, 'v1')
      const signature = imageManifest({ config: blob.digest, subject: subject.digest })
      for (const manifest of [subject, signature]) await metadata.putManifest(repository, manifest)
      await metadata.deleteManifest(repository, subject.digest)
      await metadata.putManifest(repository, signature)
      await pass(graceMs, { untaggedMs: undefined, referrers: 'delete' })
      await pass(graceMs, { untaggedMs: undefined, referrers: 'delete' })
      assert.ok(await hasManifest(repository, signature))
    })

    it('one collects at a time, until it lets go or its time is over', async () => {
      const until = new Date(clock.time + 1000)
      assert.ok(await metadata.leaseCollection({ holder: 'a', until }))
      assert.equal(await opened.replica.leaseCollection({ holder: 'b', until }), false)
      assert.ok(await metadata.leaseCollection({ holder: 'a', until }))
      await metadata.releaseCollection('b')
      assert.equal(await opened.replica.leaseCollection({ holder: 'b', until }), false)
      clock.time += 1000
      assert.ok(await opened.replica.leaseCollection({ holder: 'b', until: new Date(clock.time + 1) }))
      await opened.replica.releaseCollection('b')
      assert.ok(await metadata.leaseCollection({ holder: 'a', until: new Date(clock.time + 1) }))
      await metadata.releaseCollection('a')
    })

    it('a pause is seen by all, and says by whom', async () => {
      await metadata.pauseCollection('somebody')
      await metadata.pauseCollection('another')
      const { pausedAt, pausedBy } = await opened.replica.collectState()
      assert.deepEqual([pausedAt?.getTime(), pausedBy], [clock.time, 'somebody'])
      await opened.replica.resumeCollection()
      assert.equal((await metadata.collectState()).pausedAt, null)
    })

    it('what has gone is counted, and what waits', async () => {
      const repository = freshRepository()
      const before = (await metadata.collectState()).totals
      const { objectKey, size } = await commit(repository, 'counted')
      const waiting = await metadata.countWaiting()
      assert.ok(waiting.links >= 1)
      await pass(graceMs)
      await pass(objectDelayMs)
      await metadata.forgetGarbage([objectKey])
      await metadata.forgetGarbage([objectKey])
      await metadata.noteTick()
      const { totals, tickedAt } = await metadata.collectState()
      assert.equal(tickedAt?.getTime(), clock.time)
      assert.equal(totals.objects, before.objects + 1)
      assert.equal(totals.bytes, before.bytes + size)
      assert.ok(totals.links > before.links && totals.blobs > before.blobs)
    })

    it('what was deleted waits, with the blobs that only it names', async () => {
      const [repository, other] = [freshRepository(), freshRepository()]
      const own = await commit(repository, 'only the deleted one names it')
      const shared = await commit(repository, 'somebody else names it too')
      await metadata.linkBlob({ repository: other, from: repository, digest: shared.digest })
      await metadata.putManifest(other, imageManifest({ config: shared.digest, tags: ['v1'] }))
      const image = imageManifest({ config: own.digest, layers: [shared.digest], tags: ['v1'] })
      await metadata.putManifest(repository, image)
      const before = await metadata.countWaiting()
      await metadata.deleteManifest(repository, image.digest)
      const after = await metadata.countWaiting()
      assert.equal(after.deletedManifests, before.deletedManifests + 1)
      assert.equal(after.deletedBytes, before.deletedBytes + image.size + own.size)
      await metadata.restoreManifest(repository, image.digest)
      assert.equal((await metadata.countWaiting()).deletedBytes, before.deletedBytes)
    })

    it('nothing is done for a caller who has gone', async () => {
      const options = { signal: AbortSignal.abort(new Error('gone')) }
      for (const call of [
        () => metadata.reviewLinks(1, options),
        () => metadata.reviewManifests(strict, 1, options),
        () => metadata.reviewRepositories(1, options),
        () => metadata.enqueueUntagged(true, 1, options),
        () => metadata.pauseCollection(null, options),
        () => metadata.collectState(options),
        () => metadata.countWaiting(options),
        () => metadata.postponeGarbage([], options),
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

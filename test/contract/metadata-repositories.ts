import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { isDomainError } from '../../src/errors.ts'
import { tenantOf } from '../../src/storage/accounts/names.ts'
import { defaultKeepTimes } from '../../src/storage/metadata/keep-times.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { parseReference, parseTag, type RepositoryName } from '../../src/storage/reference.ts'
import { commitText, looseManifest, newUpload } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import { alice, freshTenantName, RepositoryWorld, repositoryIn } from '../support/repository-world.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

const { graceMs, undeleteMs } = defaultKeepTimes
/** More than four transactions put away. */
const manyManifests = 240
const latest = parseReference('latest')
const nothingSeen = {
  has: false,
  tags: 'not_found',
  byTag: 'not_found',
  byDigest: 'not_found',
  bytes: 'not_found',
  blob: 'not_found',
  mount: 'not_found',
  referrers: 0,
  parents: [],
  listed: false,
  withBlob: false,
}

/** The executable half of RepositoryChangeRecords, but for renaming; with the default times. */
export function repositoryContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`${name} as RepositoryChangeRecords`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    let metadata: Metadata
    let world: RepositoryWorld
    before(async () => {
      opened = await open(() => clock.time)
      metadata = opened.metadata
      world = new RepositoryWorld(metadata, clock)
    })
    after(() => opened.close())

    /** More than one transaction puts away. */
    async function fillWithMany(repository: RepositoryName, count = manyManifests): Promise<void> {
      for (let each = 0; each < count; each += 1)
        await metadata.putManifest(repository, looseManifest(`${repository} ${each}`, `t${each}`))
    }
    /** As one who dies when the first of several transactions is done. */
    async function breakOff(
      repository: RepositoryName,
      work: (signal: AbortSignal) => Promise<unknown>,
    ): Promise<void> {
      const before = await metadata.describeRepository(repository)
      const dying = new AbortController()
      const outcome = assert.rejects(work(dying.signal), { name: 'AbortError' })
      while ((await opened.replica.describeRepository(repository)).manifests === before.manifests)
        await setImmediate()
      dying.abort()
      await outcome
    }

    it('what was deleted is seen by nobody, as if it had never been there', async () => {
      const repository = repositoryIn()
      const pushed = await world.fill(repository)
      const absent = await world.seen(repositoryIn(), pushed)
      assert.deepEqual(absent, nothingSeen)
      assert.deepEqual(await metadata.deleteRepository(repository), { manifests: 3, tags: 2 })
      assert.deepEqual(await world.seen(repository, pushed), nothingSeen)
      assert.deepEqual(await new RepositoryWorld(opened.replica, clock).seen(repository, pushed), nothingSeen)
      await rejectsWith('not_found', metadata.deleteRepository(repository))
      await rejectsWith('not_found', metadata.deleteManifest(repository, pushed.image.digest))
      await rejectsWith('not_found', metadata.deleteTag(repository, parseTag('latest')))
      await rejectsWith('not_found', metadata.unlinkBlob(repository, pushed.config))
    })

    it('one that is not there cannot be deleted, described, restored or purged', async () => {
      const repository = repositoryIn()
      await rejectsWith('not_found', metadata.deleteRepository(repository))
      await rejectsWith('not_found', metadata.describeRepository(repository))
      await rejectsWith('not_found', metadata.restoreRepository(repository))
      await rejectsWith('not_found', metadata.purgeRepository(repository))
      await metadata.putManifest(repository, looseManifest('x'))
      await rejectsWith('conflict', metadata.restoreRepository(repository))
      await rejectsWith('conflict', metadata.purgeRepository(repository))
    })

    it('it counts for its tenant until it goes, but not as a repository', async () => {
      const repository = repositoryIn()
      await world.fill(repository)
      const { bytes, repositories } = await world.usage(repository)
      assert.equal(repositories, 1)
      await metadata.deleteRepository(repository)
      assert.deepEqual(await world.usage(repository), { bytes, repositories: 0 })
      await metadata.restoreRepository(repository)
      assert.deepEqual(await world.usage(repository), { bytes, repositories: 1 })
      clock.time += 1
      await metadata.deleteRepository(repository)
      await world.pass(undeleteMs)
      await world.pass(graceMs)
      await world.pass(graceMs)
      assert.deepEqual(await world.usage(repository), { bytes: 0, repositories: 0 })
      await rejectsWith('not_found', metadata.describeRepository(repository))
    })

    it('all that was deleted with it comes back, tags as they were, and nothing that was deleted before', async () => {
      const repository = repositoryIn()
      const pushed = await world.fill(repository)
      const moved = looseManifest(`moved ${repository}`, 'v1', 'gone')
      await metadata.putManifest(repository, moved)
      await metadata.deleteTag(repository, parseTag('gone'))
      const loose = looseManifest(`loose ${repository}`, 'loose')
      await metadata.putManifest(repository, loose)
      await metadata.deleteManifest(repository, loose.digest)
      clock.time += 1
      const seen = await world.seen(repository, pushed)
      await metadata.deleteRepository(repository, { by: alice })
      const restored = await metadata.restoreRepository(repository, { by: alice })
      assert.deepEqual(restored, { manifests: 4, tags: 2, lost: 0 })
      assert.deepEqual(await world.seen(repository, pushed), seen)
      assert.deepEqual(await metadata.listTags(repository, { limit: 10 }), ['latest', 'v1'])
      const named = await metadata.statManifest(repository, parseReference('v1'))
      assert.equal(named.digest, moved.digest)
      await rejectsWith('not_found', metadata.statManifest(repository, parseReference(loose.digest)))
      const [change] = await metadata.listTagHistory(repository, parseTag('v1'), { limit: 1 })
      assert.equal(change?.cause, 'restore')
      assert.equal(change.account, 'alice')
      // Nothing of it is looked at by the garbage collection as if it had been let go of.
      await world.pass(undeleteMs)
      await world.pass(graceMs)
      assert.deepEqual(await world.seen(repository, pushed), seen)
    })

    it('a push makes the name a new repository, which has nothing of the old one', async () => {
      const repository = repositoryIn()
      const pushed = await world.fill(repository)
      await metadata.deleteRepository(repository)
      clock.time += 1000
      await metadata.putManifest(repository, looseManifest('new', 'new'))
      assert.deepEqual(await metadata.listTags(repository, { limit: 10 }), ['new'])
      await rejectsWith('not_found', metadata.statManifest(repository, parseReference(pushed.image.digest)))
      assert.equal((await world.usage(repository)).repositories, 1)
      const { createdAt, deletedAt, deletedManifests } = await metadata.describeRepository(repository)
      assert.deepEqual([createdAt.getTime(), deletedAt, deletedManifests], [clock.time, null, 3])
      await rejectsWith('conflict', metadata.restoreRepository(repository))
      await metadata.restoreTag(repository, parseTag('latest'), undefined)
      assert.deepEqual(await metadata.listTags(repository, { limit: 10 }), ['latest', 'new'])
    })

    it('a blob, a mount and a new session make it exist as a manifest does', async () => {
      for (const push of [
        (repository: RepositoryName) => commitText(metadata, repository, 'again', clock.time),
        async (repository: RepositoryName) => {
          const from = repositoryIn()
          const { digest } = await commitText(metadata, from, `of ${from}`, clock.time)
          await metadata.linkBlob({ repository, from, digest })
        },
      ]) {
        const repository = repositoryIn()
        await world.fill(repository)
        await metadata.deleteRepository(repository)
        await metadata.createUpload(newUpload(repository, clock.time))
        assert.equal(await metadata.hasRepository(repository), false)
        await push(repository)
        assert.deepEqual(await metadata.listTags(repository, { limit: 10 }), [])
        assert.equal((await world.usage(repository)).repositories, 1)
      }
    })

    it('a tag or a manifest of it that is restored brings it back alone', async () => {
      const repository = repositoryIn()
      const { image } = await world.fill(repository)
      await metadata.deleteRepository(repository)
      await metadata.restoreManifest(repository, image.digest)
      assert.equal(await metadata.hasRepository(repository), true)
      assert.deepEqual(await metadata.listTags(repository, { limit: 10 }), [])
      assert.equal((await world.usage(repository)).repositories, 1)
    })

    it('uploads that are under way in it end, and their bytes are swept', async () => {
      const repository = repositoryIn()
      await world.fill(repository)
      const upload = newUpload(repository, clock.time)
      await metadata.createUpload(upload)
      await metadata.deleteRepository(repository)
      await rejectsWith('not_found', metadata.getUpload(repository, upload.id))
      const commit = { repository, uploadId: upload.id, objectKey: upload.objectKey, holder: upload.holder }
      const { digest } = looseManifest('x')
      await rejectsWith('conflict', metadata.commitBlob({ ...commit, digest, size: 1 }))
      const expired = async () =>
        (await metadata.expiredUploads(new Date(clock.time), 1000)).some(({ id }) => id === upload.id)
      clock.time += 1
      assert.equal(await expired(), false, 'its holder may still be at work')
      clock.time += 60_000
      assert.equal(await expired(), true)
    })

    it('tags that may not be changed keep it, unless that is forced', async () => {
      const repository = repositoryIn()
      const tenant = tenantOf(repository)
      await metadata.createTenant({ name: tenant })
      await world.fill(repository)
      await metadata.addTagRule({ tenant, repositories: `${tenant}/**`, tags: 'v*' })
      await assert.rejects(
        metadata.deleteRepository(repository),
        (error: unknown) => isDomainError(error, 'conflict') && /v1 .*rule/.test(error.message),
      )
      assert.equal(await metadata.hasRepository(repository), true)
      await metadata.deleteRepository(repository, { isForced: true })
      await metadata.restoreRepository(repository)
      assert.deepEqual(await metadata.listTags(repository, { limit: 10 }), ['latest', 'v1'])
    })

    it('events tell of each tag and manifest that went, and came back', async () => {
      const repository = repositoryIn()
      await world.fill(repository)
      const before = await world.newestEvent()
      await metadata.deleteRepository(repository, { by: alice })
      const deleted = await world.eventsOf(repository, before)
      assert.deepEqual(deleted.toSorted(), [
        'alice manifest delete',
        'alice manifest delete',
        'alice manifest delete',
        'alice tag delete latest',
        'alice tag delete v1',
      ])
      const middle = await world.newestEvent()
      await metadata.restoreRepository(repository, { by: alice })
      assert.deepEqual((await world.eventsOf(repository, middle)).toSorted(), [
        'alice manifest push',
        'alice manifest push',
        'alice manifest push',
        'alice tag tag latest',
        'alice tag tag v1',
      ])
    })

    it('a deletion that was broken off is hidden, holds pushes off, and is gone on with', async () => {
      const repository = repositoryIn()
      await fillWithMany(repository)
      await breakOff(repository, signal => metadata.deleteRepository(repository, { by: alice, signal }))
      assert.equal(await metadata.hasRepository(repository), false)
      await rejectsWith('not_found', metadata.listTags(repository, { limit: 10 }))
      await rejectsWith('not_found', metadata.statManifest(repository, parseReference('t1')))
      await rejectsWith('busy', metadata.putManifest(repository, looseManifest('new')))
      await rejectsWith('busy', commitText(metadata, repository, 'new', clock.time))
      await rejectsWith('busy', metadata.restoreRepository(repository))
      await rejectsWith('busy', metadata.purgeRepository(repository))
      while (await opened.replica.finishRepositories());
      assert.equal((await metadata.describeRepository(repository)).deletedManifests, manyManifests)
      await metadata.putManifest(repository, looseManifest('new', 'new'))
      assert.deepEqual(await metadata.listTags(repository, { limit: 10 }), ['new'])
      const tags = await metadata.listTagHistory(repository, parseTag('t7'), { limit: 1 })
      assert.equal(tags[0]?.account, 'alice')
    })

    it('who deletes it once more goes on with what was broken off', async () => {
      const repository = repositoryIn()
      await fillWithMany(repository)
      await breakOff(repository, signal => metadata.deleteRepository(repository, { signal }))
      await metadata.deleteRepository(repository)
      assert.equal((await metadata.describeRepository(repository)).deletedManifests, manyManifests)
      assert.equal((await world.usage(repository)).repositories, 0)
      assert.deepEqual(await metadata.restoreRepository(repository), {
        manifests: manyManifests,
        tags: manyManifests,
        lost: 0,
      })
    })

    it('a restoration that was broken off shows nothing before it is done', async () => {
      const repository = repositoryIn()
      await fillWithMany(repository)
      await metadata.deleteRepository(repository)
      await breakOff(repository, signal => metadata.restoreRepository(repository, { signal }))
      assert.equal(await metadata.hasRepository(repository), false)
      await rejectsWith('not_found', metadata.statManifest(repository, parseReference('t1')))
      await rejectsWith('busy', metadata.putManifest(repository, looseManifest('new')))
      await opened.replica.finishRepositories()
      assert.equal((await metadata.listTags(repository, { limit: 1000 })).length, manyManifests)
      assert.equal((await world.usage(repository)).repositories, 1)
    })

    it('what has lost a blob stays deleted, and the rest comes back', async () => {
      const repository = repositoryIn()
      const { config } = await world.fill(repository)
      await metadata.putManifest(repository, looseManifest('whole', 'whole'))
      await metadata.deleteManifest(repository, (await metadata.statManifest(repository, latest)).digest)
      await metadata.restoreTag(repository, parseTag('latest'), undefined)
      await metadata.deleteRepository(repository)
      // A client deletes the blob between two lives of the repository.
      await metadata.restoreTag(repository, parseTag('whole'), undefined)
      await metadata.unlinkBlob(repository, config)
      await metadata.deleteRepository(repository)
      const restored = await metadata.restoreRepository(repository)
      assert.deepEqual(restored, { manifests: 1, tags: 1, lost: 0 })
      await rejectsWith('missing_reference', metadata.restoreTag(repository, parseTag('latest'), undefined))
    })

    it('a purged one is gone at once, with all that it counted', async () => {
      const repository = repositoryIn()
      const pushed = await world.fill(repository)
      await metadata.deleteRepository(repository)
      await metadata.purgeRepository(repository, { by: alice })
      await rejectsWith('not_found', metadata.describeRepository(repository))
      assert.deepEqual(await world.usage(repository), { bytes: 0, repositories: 0 })
      assert.deepEqual(await metadata.listTagHistory(repository, parseTag('latest'), { limit: 1 }), [])
      assert.deepEqual(await metadata.holdersOf(pushed.config, 10), [])
      assert.ok((await metadata.findGarbageOf(pushed.config)) !== undefined)
      await world.fill(repository)
      assert.equal((await world.usage(repository)).repositories, 1)
    })

    it('lists those that are there, and those that were deleted', async () => {
      const tenant = freshTenantName()
      for (const rest of ['a', 'b', 'c']) await world.fill(repositoryIn(tenant, rest))
      await metadata.deleteRepository(repositoryIn(tenant, 'b'))
      const names = async (isDeleted: boolean, after?: string) =>
        (await metadata.listRepositoryStates({ tenant, isDeleted }, { limit: 10, after })).map(
          state => state.name,
        )
      assert.deepEqual(await names(false), [`${tenant}/a`, `${tenant}/c`])
      assert.deepEqual(await names(false, `${tenant}/a`), [`${tenant}/c`])
      assert.deepEqual(await names(true), [`${tenant}/b`])
      const [state] = await metadata.listRepositoryStates({ tenant, isDeleted: true }, { limit: 1 })
      assert.ok(state !== undefined && state.deletedAt !== null)
      assert.equal(state.goesAt?.getTime(), state.deletedAt.getTime() + undeleteMs)
      const facts = await metadata.describeRepository(repositoryIn(tenant, 'a'))
      assert.deepEqual([facts.manifests, facts.tags, facts.deletedManifests, facts.goesAt], [3, 2, 0, null])
    })

    it('a tenant goes when its repositories are gone, and says what is still kept', async () => {
      const repository = repositoryIn()
      const name = tenantOf(repository)
      await metadata.createTenant({ name })
      await world.fill(repository)
      const refusal = (pattern: RegExp) => (error: unknown) =>
        isDomainError(error, 'conflict') && pattern.test(error.message)
      await assert.rejects(metadata.deleteTenant(name), refusal(/has repositories/))
      await metadata.deleteRepository(repository)
      await assert.rejects(metadata.deleteTenant(name), refusal(/still kept, .* until 20\d\d-/))
      await metadata.purgeRepository(repository)
      await metadata.deleteTenant(name)
    })
  })
}

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
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
const latest = parseTag('latest')

/** The executable half of `renameRepository`, with the default times. */
export function renameContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`Renaming on ${name}`, () => {
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

    it('all that there is answers to the new name, and nothing to the old one', async () => {
      const tenant = freshTenantName()
      const [from, to] = [repositoryIn(tenant, 'old'), repositoryIn(tenant, 'new/name')]
      const pushed = await world.fill(from)
      const [seen, absent] = [await world.seen(from, pushed), await world.seen(to, pushed)]
      const used = await world.usage(from)
      const { createdAt } = await metadata.describeRepository(from)
      clock.time += 1000
      assert.deepEqual(await metadata.renameRepository({ from, to }), { manifests: 3, tags: 2 })
      assert.deepEqual(await world.seen(to, pushed), seen)
      assert.deepEqual(await world.seen(from, pushed), absent)
      assert.deepEqual(await world.usage(to), used)
      assert.deepEqual((await metadata.describeRepository(to)).createdAt, createdAt)
      await rejectsWith('not_found', metadata.describeRepository(from))
      // Nothing of it is looked at by the garbage collection as if it had been let go of.
      await world.pass(undeleteMs)
      await world.pass(graceMs)
      assert.deepEqual(await world.seen(to, pushed), seen)
    })

    it('the old name is free, and takes nothing from the new one', async () => {
      const tenant = freshTenantName()
      const [from, to] = [repositoryIn(tenant, 'old'), repositoryIn(tenant, 'new')]
      await world.fill(from)
      await metadata.renameRepository({ from, to })
      await metadata.putManifest(from, looseManifest('again', 'latest'))
      assert.deepEqual(await metadata.listTags(from, { limit: 10 }), ['latest'])
      assert.deepEqual(await metadata.listTags(to, { limit: 10 }), ['latest', 'v1'])
      await rejectsWith('already_exists', metadata.renameRepository({ from, to }))
      assert.equal((await world.usage(from)).repositories, 2)
    })

    it('its history goes with it, and what can be taken back', async () => {
      const tenant = freshTenantName()
      const [from, to] = [repositoryIn(tenant, 'old'), repositoryIn(tenant, 'new')]
      const { index } = await world.fill(from)
      const second = looseManifest('second', 'latest')
      await metadata.putManifest(from, second)
      await metadata.deleteManifest(from, index.digest)
      const used = await world.usage(from)
      await metadata.renameRepository({ from, to }, { by: alice })
      assert.deepEqual(await world.usage(to), used)
      const changes = await metadata.listTagHistory(to, latest, { limit: 10 })
      assert.deepEqual(
        changes.map(({ cause, digest }) => [cause, digest]),
        [
          ['rename', second.digest],
          ['push', second.digest],
          ['push', index.digest],
        ],
      )
      assert.equal(changes[0]?.account, 'alice')
      assert.deepEqual(await metadata.listTagHistory(from, latest, { limit: 10 }), [])
      const restored = await metadata.restoreTag(to, latest, undefined)
      assert.equal(restored.digest, index.digest)
      assert.deepEqual(await world.usage(to), used)
      await world.pass(undeleteMs)
      await world.pass(graceMs)
      await metadata.statManifest(to, parseReference(index.digest))
    })

    it('of another tenant, each counts what it has then', async () => {
      const [from, to] = [repositoryIn(), repositoryIn()]
      const [stays, there] = [repositoryIn(tenantOf(from), 'stays'), repositoryIn(tenantOf(to), 'there')]
      await world.fill(from)
      for (const [repositories, text] of [
        [[from], 'moves alone'],
        [[from, stays], 'stays as well'],
        [[from, there], 'is there already'],
        [[from, stays, there], 'is everywhere'],
      ] as const)
        for (const repository of repositories)
          await commitText(metadata, repository, `${text} ${from}`, clock.time)
      for (let each = 0; each < 600; each += 1)
        await commitText(metadata, from, `one of many ${each} ${from}`, clock.time)
      const deleted = looseManifest(`deleted ${from}`)
      await metadata.putManifest(from, deleted)
      await metadata.deleteManifest(from, deleted.digest)
      const before = { from: await world.usage(from), to: await world.usage(to) }
      await metadata.renameRepository({ from, to })
      const now = { from: await world.usage(from), to: await world.usage(to) }
      assert.deepEqual([now.from.repositories, now.to.repositories], [1, 2])
      assert.ok(now.from.bytes < before.from.bytes && now.to.bytes > before.to.bytes)
      await metadata.renameRepository({ from: to, to: from })
      assert.deepEqual({ from: await world.usage(from), to: await world.usage(to) }, before)
    })

    it('a quota of the other tenant has to have room for it', async () => {
      const [from, to] = [repositoryIn(), repositoryIn()]
      const pushed = await world.fill(from)
      const { bytes } = await world.usage(from)
      const name = tenantOf(to)
      await metadata.createTenant({ name, quotaBytes: bytes - 1 })
      const seen = await world.seen(from, pushed)
      await rejectsWith('denied', metadata.renameRepository({ from, to }))
      assert.deepEqual(await world.seen(from, pushed), seen)
      await metadata.updateTenant(name, { quotaBytes: bytes, quotaRepositories: 0 })
      await rejectsWith('denied', metadata.renameRepository({ from, to }))
      await metadata.updateTenant(name, { quotaRepositories: 1 })
      await metadata.renameRepository({ from, to })
      assert.deepEqual(await world.usage(to), { bytes, repositories: 1 })
      assert.deepEqual(await world.usage(from), { bytes: 0, repositories: 0 })
    })

    it('nothing private becomes public without being told to', async () => {
      const [from, to] = [repositoryIn(), repositoryIn()]
      await metadata.createTenant({ name: tenantOf(from) })
      await metadata.createTenant({ name: tenantOf(to), visibility: 'public' })
      await world.fill(from)
      await assert.rejects(
        metadata.renameRepository({ from, to }),
        (error: unknown) => isDomainError(error, 'conflict') && /private/.test(error.message),
      )
      const visibility = async (repository: RepositoryName) =>
        (await metadata.accessFacts(null, repository)).repositoryVisibility
      await metadata.renameRepository({ from, to, visibility: 'private' })
      assert.equal(await visibility(to), 'private')
      await metadata.renameRepository({ from: to, to: from })
      assert.equal(await visibility(from), 'private')
      await metadata.renameRepository({ from, to, visibility: 'public' })
      assert.equal(await visibility(to), 'public')
      // From a public one to a private one it keeps what it has of its own.
      await metadata.renameRepository({ from: to, to: from })
      assert.equal(await visibility(from), 'public')
      assert.equal(await visibility(to), undefined)
      assert.deepEqual(await metadata.listRepositoriesOf(null, { limit: 10, after: from.slice(0, -1) }), [
        from,
      ])
    })

    it('one that has no visibility of its own is as its new tenant', async () => {
      const [from, to] = [repositoryIn(), repositoryIn()]
      await metadata.createTenant({ name: tenantOf(from), visibility: 'public' })
      await metadata.createTenant({ name: tenantOf(to) })
      await world.fill(from)
      await metadata.renameRepository({ from, to })
      const { repositoryVisibility } = await metadata.accessFacts(null, to)
      assert.equal(repositoryVisibility, undefined)
    })

    it('there must be one, and none of the new name, nor one that is still kept', async () => {
      const [from, to, unknown] = [repositoryIn(), repositoryIn(), repositoryIn()]
      await world.fill(from)
      await world.fill(to)
      await rejectsWith('not_found', metadata.renameRepository({ from: unknown, to: repositoryIn() }))
      await rejectsWith('already_exists', metadata.renameRepository({ from, to }))
      await rejectsWith('already_exists', metadata.renameRepository({ from, to: from }))
      await metadata.deleteRepository(to)
      await rejectsWith('already_exists', metadata.renameRepository({ from, to }))
      await rejectsWith('not_found', metadata.renameRepository({ from: to, to: unknown }))
      await metadata.purgeRepository(to)
      await metadata.renameRepository({ from, to })
    })

    it('tags that may not be changed keep its name, unless that is forced', async () => {
      const repository = repositoryIn()
      const tenant = tenantOf(repository)
      await metadata.createTenant({ name: tenant })
      await world.fill(repository)
      await metadata.addTagRule({ tenant, repositories: `${tenant}/**`, tags: 'v*' })
      const to = repositoryIn(tenant, 'other')
      await rejectsWith('conflict', metadata.renameRepository({ from: repository, to }))
      await metadata.renameRepository({ from: repository, to }, { isForced: true })
    })

    it('uploads that are under way in it end', async () => {
      const [from, to] = [repositoryIn(), repositoryIn()]
      await world.fill(from)
      const upload = newUpload(from, clock.time)
      await metadata.createUpload(upload)
      await metadata.renameRepository({ from, to })
      for (const repository of [from, to])
        await rejectsWith('not_found', metadata.getUpload(repository, upload.id))
    })

    it('for who reads events, all is pushed under the new name and deleted under the old one', async () => {
      const [from, to] = [repositoryIn(), repositoryIn()]
      await world.fill(from)
      const before = await world.newestEvent()
      await metadata.renameRepository({ from, to }, { by: alice })
      assert.deepEqual((await world.eventsOf(from, before)).toSorted(), [
        'alice manifest delete',
        'alice manifest delete',
        'alice manifest delete',
        'alice tag delete latest',
        'alice tag delete v1',
      ])
      assert.deepEqual((await world.eventsOf(to, before)).toSorted(), [
        'alice manifest push',
        'alice manifest push',
        'alice manifest push',
        'alice tag tag latest',
        'alice tag tag v1',
      ])
    })
  })
}

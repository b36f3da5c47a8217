import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { parseTenantName, type TenantName, tenantOf } from '../../src/storage/accounts/names.ts'
import { digestOf } from '../../src/storage/digest.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import type { Usage } from '../../src/storage/metadata/usage-records.ts'
import { parseRepositoryName, type RepositoryName } from '../../src/storage/reference.ts'
import { commitText, looseManifest, newUpload } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

/** The executable half of UsageRecords. */
export function usageContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`${name} as UsageRecords`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    let metadata: Metadata
    before(async () => {
      opened = await open(() => clock.time)
      metadata = opened.metadata
    })
    after(() => opened.close())

    const freshTenant = (): TenantName => parseTenantName(`t${randomUUID()}`)
    const repositoryOf = (tenant: TenantName, rest: string): RepositoryName =>
      parseRepositoryName(`${tenant}/${rest}`)
    const none: Usage = { bytes: 0, uploadingBytes: 0, repositories: 0 }

    /** In all three ways that there are to know it. */
    async function assertUsage(tenant: TenantName, bytes: number, repositories: number): Promise<void> {
      const expected = { bytes, uploadingBytes: 0, repositories }
      assert.deepEqual(await metadata.getUsage(tenant), expected, 'pending')
      await foldAll(metadata)
      assert.deepEqual(await opened.replica.getUsage(tenant), expected, 'folded')
      assert.deepEqual(await metadata.recountUsage(tenant), expected, 'counted anew')
    }

    it('a tenant that has nothing uses nothing', async () => {
      await assertUsage(freshTenant(), 0, 0)
    })

    it('a blob counts once, in however many repositories of the tenant, and for each tenant', async () => {
      const [tenant, other] = [freshTenant(), freshTenant()]
      const text = `shared ${tenant}`
      for (const repository of [
        repositoryOf(tenant, 'a'),
        repositoryOf(tenant, 'b/c'),
        repositoryOf(other, 'a'),
        // Its own name begins with the other's, and is in nobody's tenant but its own.
        parseRepositoryName(`${tenant}-labs/a`),
        parseRepositoryName(`${tenant}.labs/a`),
        parseRepositoryName(tenant),
      ])
        await commitText(metadata, repository, text, clock.time)
      await assertUsage(tenant, text.length, 3)
      await assertUsage(other, text.length, 1)
      await assertUsage(parseTenantName(`${tenant}-labs`), text.length, 1)
    })

    it('a mount counts as a push does, and once', async () => {
      const [tenant, library] = [freshTenant(), freshTenant()]
      const from = repositoryOf(library, 'base')
      const { digest, size } = await commitText(metadata, from, `mounted ${tenant}`, clock.time)
      for (const rest of ['a', 'b', 'a'])
        await metadata.linkBlob({ repository: repositoryOf(tenant, rest), from, digest })
      await assertUsage(tenant, size, 2)
    })

    it('a blob counts until its last link is gone', async () => {
      const tenant = freshTenant()
      const [a, b] = [repositoryOf(tenant, 'a'), repositoryOf(tenant, 'b')]
      const { digest, size } = await commitText(metadata, a, `twice ${tenant}`, clock.time)
      await metadata.linkBlob({ repository: b, from: a, digest })
      await metadata.unlinkBlob(a, digest)
      await assertUsage(tenant, size, 2)
      await metadata.unlinkBlob(b, digest)
      await assertUsage(tenant, 0, 2)
      await commitText(metadata, b, `twice ${tenant}`, clock.time)
      await assertUsage(tenant, size, 2)
    })

    it('a manifest counts in each repository until it cannot be taken back, its tags count nothing', async () => {
      const tenant = freshTenant()
      const [a, b] = [repositoryOf(tenant, 'a'), repositoryOf(tenant, 'b')]
      const manifest = looseManifest('counted', 'x', 'y')
      for (const repository of [a, b, a]) await metadata.putManifest(repository, manifest)
      await assertUsage(tenant, 2 * manifest.size, 2)
      await metadata.deleteManifest(a, manifest.digest)
      await assertUsage(tenant, 2 * manifest.size, 2)
      await metadata.purgeManifest(a, manifest.digest)
      await assertUsage(tenant, manifest.size, 2)
      await metadata.deleteManifest(b, manifest.digest, { isFinal: true })
      await assertUsage(tenant, 0, 2)
    })

    it('what is refused or fails counts nothing', async () => {
      const tenant = freshTenant()
      const repository = repositoryOf(tenant, 'a')
      const absent = digestOf(Buffer.from('nobody has pushed this'))
      await rejectsWith('not_found', metadata.linkBlob({ repository, from: undefined, digest: absent }))
      await rejectsWith('not_found', metadata.unlinkBlob(repository, absent))
      await rejectsWith('not_found', metadata.deleteManifest(repository, absent))
      await assertUsage(tenant, 0, 0)
    })

    it('upload sessions count apart, until they are finished, dropped or expired', async () => {
      const tenant = freshTenant()
      const uploads = await Promise.all(
        ['a', 'b', 'c'].map(async rest => {
          const upload = newUpload(repositoryOf(tenant, rest), clock.time)
          const record = await metadata.createUpload(upload)
          await metadata.saveUpload(upload.id, upload.holder, { ...record, offset: 100 })
          return upload
        }),
      )
      assert.deepEqual(await metadata.getUsage(tenant), { ...none, uploadingBytes: 300 })
      const [dropped, finished, expired] = uploads
      assert.ok(dropped && finished && expired)
      await metadata.deleteUpload(dropped.id)
      const { repository, id: uploadId, holder, objectKey } = finished
      const digest = digestOf(Buffer.from(uploadId))
      await metadata.commitBlob({ digest, size: 100, objectKey, repository, uploadId, holder })
      assert.deepEqual(await metadata.getUsage(tenant), { bytes: 100, uploadingBytes: 100, repositories: 1 })
      clock.time = expired.expiresAt.getTime()
      assert.deepEqual(await metadata.getUsage(tenant), { bytes: 100, uploadingBytes: 0, repositories: 1 })
    })

    it('tells whether any repository of the tenant has a blob', async () => {
      const [tenant, other] = [freshTenant(), freshTenant()]
      const { digest } = await commitText(metadata, repositoryOf(tenant, 'a'), `mine ${tenant}`, clock.time)
      assert.equal(await metadata.tenantHasBlob(tenant, digest), true)
      assert.equal(await metadata.tenantHasBlob(other, digest), false)
      assert.equal(await metadata.tenantHasBlob(parseTenantName(`${tenant}x`), digest), false)
    })

    it('tells how many bytes of the tenant are damaged, each blob once', async () => {
      const [tenant, other] = [freshTenant(), freshTenant()]
      const [a, b] = [repositoryOf(tenant, 'a'), repositoryOf(tenant, 'b')]
      const [damaged, fine] = [`damaged ${tenant}`, `fine ${tenant}`]
      const { digest } = await commitText(metadata, a, damaged, clock.time)
      await commitText(metadata, a, fine, clock.time)
      await metadata.linkBlob({ repository: b, from: a, digest })
      assert.equal(await metadata.damagedBytesOf(tenant), 0)
      const blob = await metadata.findBlob(a, digest)
      await metadata.quarantineBlob({ ...blob, kind: 'missing', detail: 'gone' })
      assert.equal(await metadata.damagedBytesOf(tenant), blob.size)
      assert.equal(await metadata.damagedBytesOf(other), 0)
    })

    it('folds at most as many rows as it is told to', async () => {
      await foldAll(metadata)
      const tenant = freshTenant()
      for (const rest of ['a', 'b', 'c'])
        await commitText(metadata, repositoryOf(tenant, rest), rest, clock.time)
      assert.equal(await metadata.foldUsage(2), 2)
      assert.equal((await metadata.getUsage(tenant)).repositories, 3)
      assert.equal(await metadata.foldUsage(2), 1)
      assert.equal(await metadata.foldUsage(2), 0)
      await assertUsage(tenant, 3, 3)
    })

    it('an adopted blob counts', async () => {
      const tenant = freshTenant()
      const [a, b] = [repositoryOf(tenant, 'a'), repositoryOf(tenant, 'b')]
      const { objectKey } = newUpload(a, clock.time)
      const digest = digestOf(Buffer.from(`adopted ${tenant}`))
      for (const repository of [a, a, b]) await metadata.adoptBlob({ repository, digest, size: 7, objectKey })
      await assertUsage(tenant, 7, 2)
    })

    describe('races', () => {
      const racer = (index: number): Metadata => (index % 2 === 0 ? opened.metadata : opened.replica)

      it('of sixteen pushes to one tenant, folded and counted meanwhile, lose nothing', async () => {
        const tenant = freshTenant()
        const texts = Array.from({ length: 16 }, (_, index) => `race ${tenant} ${index}`)
        await Promise.all([
          ...texts.map(async (text, index) => {
            for (const rest of ['a', `own-${index}`])
              await commitText(racer(index), repositoryOf(tenant, rest), text, clock.time)
          }),
          ...Array.from({ length: 8 }, (_, index) => racer(index).foldUsage(3)),
          ...Array.from({ length: 4 }, (_, index) => racer(index).recountUsage(tenant)),
        ])
        const bytes = texts.reduce((sum, text) => sum + text.length, 0)
        await assertUsage(tenant, bytes, 17)
      })

      it('of mounts of one blob into repositories of one tenant count it once', async () => {
        for (let round = 0; round < 5; round++) {
          const tenant = freshTenant()
          const from = repositoryOf(freshTenant(), 'base')
          const { digest, size } = await commitText(metadata, from, `base ${tenant}`, clock.time)
          await Promise.all(
            Array.from({ length: 8 }, (_, index) =>
              racer(index).linkBlob({ repository: repositoryOf(tenant, `r${index}`), from, digest }),
            ),
          )
          await assertUsage(tenant, size, 8)
        }
      })

      it('of links that are made and taken away leave the count of those that are left', async () => {
        for (let round = 0; round < 10; round++) {
          const tenant = freshTenant()
          const library = repositoryOf(freshTenant(), 'base')
          const { digest } = await commitText(metadata, library, `base ${tenant}`, clock.time)
          const repositories = ['a', 'b', 'c', 'd'].map(rest => repositoryOf(tenant, rest))
          const link = (repository: RepositoryName, index: number) =>
            racer(index).linkBlob({ repository, from: library, digest })
          const unlink = (repository: RepositoryName, index: number) =>
            racer(index).unlinkBlob(repository, digest)
          const [a, b, c, d] = repositories
          assert.ok(a && b && c && d)
          await link(a, 0)
          await link(b, 1)
          await Promise.all([unlink(a, 0), link(c, 1), unlink(b, 2), link(d, 3)])
          await Promise.all([unlink(c, 1), unlink(d, 0)])
          await assertUsage(tenant, 0, 4)
        }
      })
    })

    it('is what is stored, whatever was pushed and deleted', async () => {
      const step = fc.record({
        kind: fc.constantFrom('commit', 'mount', 'unlink', 'put', 'delete', 'fold', 'recount'),
        repository: fc.constantFrom('a', 'b', 'c/d'),
        content: fc.integer({ min: 0, max: 3 }),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async steps => {
          const tenant = freshTenant()
          const library = repositoryOf(freshTenant(), 'library')
          const contents = [1, 20, 300, 4000].map(length => `${tenant.slice(0, 1).repeat(length - 1)}x`)
          for (const text of contents) await commitText(metadata, library, text, clock.time)
          const links = new Set<string>()
          const manifests = new Map<string, number>()
          const deleted = new Map<string, number>()
          const repositories = new Set<string>()
          for (const { kind, repository: rest, content } of steps) {
            const repository = repositoryOf(tenant, rest)
            const text = contents[content] ?? ''
            const digest = digestOf(Buffer.from(text))
            const manifest = looseManifest(text)
            const key = `${rest} ${content}`
            switch (kind) {
              case 'commit':
                await commitText(metadata, repository, text, clock.time)
                break
              case 'mount':
                await metadata.linkBlob({ repository, from: library, digest })
                break
              case 'unlink':
                if (links.delete(key)) await metadata.unlinkBlob(repository, digest)
                break
              case 'put':
                await metadata.putManifest(repository, manifest)
                manifests.set(key, manifest.size)
                deleted.delete(key)
                repositories.add(rest)
                break
              case 'delete':
                if (!manifests.delete(key)) break
                await metadata.deleteManifest(repository, manifest.digest, { isFinal: content % 2 === 0 })
                // What can be taken back counts.
                if (content % 2 === 1) deleted.set(key, manifest.size)
                break
              case 'fold':
                await metadata.foldUsage(3)
                break
              case 'recount':
                await metadata.recountUsage(tenantOf(repository))
                break
            }
            if (kind === 'commit' || kind === 'mount') {
              links.add(key)
              repositories.add(rest)
            }
          }
          const linked = new Set([...links].map(key => Number(key.split(' ')[1])))
          const bytes =
            [...linked].reduce((sum, content) => sum + (contents[content]?.length ?? 0), 0) +
            [...manifests.values(), ...deleted.values()].reduce((sum, size) => sum + size, 0)
          await assertUsage(tenant, bytes, repositories.size)
        }),
        { numRuns: 15 },
      )
    })
  })
}

async function foldAll(metadata: Metadata): Promise<void> {
  while ((await metadata.foldUsage(100)) > 0);
}

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import type { UploadProgress } from '../../src/storage/metadata/upload-records.ts'
import { newObjectKey } from '../../src/storage/objects/keys.ts'
import { parseReference, parseRepositoryName, parseTag } from '../../src/storage/reference.ts'
import { freshTenant, freshUser, newCredential } from '../support/account-records.ts'
import {
  commitText,
  freshRepository,
  imageManifest,
  indexOf,
  looseManifest,
  newUpload,
} from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import { accountRaceContract } from './account-races.ts'
import { accountContract } from './accounts.ts'
import { credentialContract } from './credentials.ts'
import { metadataAdoptionContract } from './metadata-adoption.ts'
import { metadataConditionContract } from './metadata-conditions.ts'
import { metadataEventContract } from './metadata-events.ts'
import { metadataParentContract } from './metadata-parents.ts'
import { metadataRaceContract } from './metadata-races.ts'
import { metadataReferrerContract } from './metadata-referrers.ts'
import { metadataUploadContract } from './metadata-uploads.ts'
import { tenantContract } from './tenants.ts'
import { visibleRepositoryContract } from './visible-repositories.ts'

export interface OpenedMetadata {
  readonly metadata: Metadata
  /** The same database, opened once more, as another process or replica would. */
  readonly replica: Metadata
  close(): Promise<void>
}

/** A clock that stands still until a test moves it. */
export interface TestClock {
  time: number
}

/** The executable half of {@link Metadata}. `open` gives a database that reads its time from the clock. */
export function metadataContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`${name} as Metadata`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    let metadata: Metadata
    before(async () => {
      opened = await open(() => clock.time)
      metadata = opened.metadata
    })
    after(() => opened.close())

    const absent = digestOf(Buffer.from('nobody has pushed this'))

    it('answers a ping', async () => {
      await metadata.ping()
    })

    describe('manifests', () => {
      it('are kept byte for byte, and found by digest and by tag', async () => {
        const repository = freshRepository()
        const manifest = looseManifest('one', 'latest', 'v1')
        await metadata.putManifest(repository, manifest)
        for (const text of [manifest.digest, 'latest', 'v1']) {
          const { digest, mediaType, size, bytes } = await metadata.getManifest(
            repository,
            parseReference(text),
          )
          assert.equal(digest, manifest.digest)
          assert.equal(mediaType, manifest.mediaType)
          assert.equal(size, manifest.size)
          assert.deepEqual(Buffer.from(bytes), Buffer.from(manifest.bytes))
          assert.deepEqual(await metadata.statManifest(repository, parseReference(text)), {
            digest,
            mediaType,
            size,
          })
        }
      })

      it('may be put again, also under other tags', async () => {
        const repository = freshRepository()
        const blob = await commitText(metadata, repository, 'layer', clock.time)
        const parts = { config: blob.digest, layers: [blob.digest, blob.digest] }
        await metadata.putManifest(repository, imageManifest({ ...parts, tags: ['a'] }))
        await metadata.putManifest(repository, imageManifest({ ...parts, tags: ['b', 'b'] }))
        assert.deepEqual(await metadata.listTags(repository, { limit: 9 }), ['a', 'b'])
      })

      it('move a tag, and stay reachable by digest', async () => {
        const repository = freshRepository()
        const [older, newer] = [looseManifest('older', 'latest'), looseManifest('newer', 'latest')]
        await metadata.putManifest(repository, older)
        await metadata.putManifest(repository, newer)
        assert.equal((await metadata.statManifest(repository, parseReference('latest'))).digest, newer.digest)
        assert.equal((await metadata.statManifest(repository, parseReference(older.digest))).size, older.size)
      })

      it('are named by sha512 as well, and a tag answers with the digest that it was set with', async () => {
        const repository = freshRepository()
        const manifest = looseManifest('two names', 'short')
        const long = digestOf(manifest.bytes, 'sha512')
        await metadata.putManifest(repository, manifest)
        await metadata.putManifest(repository, { ...manifest, digest: long, tags: [parseTag('long')] })
        assert.equal(
          (await metadata.statManifest(repository, parseReference('short'))).digest,
          manifest.digest,
        )
        assert.equal((await metadata.statManifest(repository, parseReference('long'))).digest, long)
        assert.equal((await metadata.statManifest(repository, parseReference(long))).digest, long)
      })

      it('are refused while blobs are missing, and leave no trace', async () => {
        const repository = freshRepository()
        const there = await commitText(metadata, repository, 'there', clock.time)
        const elsewhere = await commitText(metadata, freshRepository(), 'elsewhere', clock.time)
        const layers = [there.digest, absent, elsewhere.digest, absent]
        const manifest = imageManifest({ config: there.digest, layers, tags: ['broken'] })
        const error = await rejectsWith('missing_reference', metadata.putManifest(repository, manifest))
        assert.deepEqual(new Set(error.details.missing), new Set([absent, elsewhere.digest]))
        assert.equal(error.details.missing?.length, 2)
        assert.deepEqual(await metadata.listTags(repository, { limit: 9 }), [])
        await rejectsWith('not_found', metadata.getManifest(repository, parseReference(manifest.digest)))
      })

      it('do not make a repository exist when they are refused', async () => {
        const repository = freshRepository()
        await rejectsWith('missing_reference', metadata.putManifest(repository, imageManifest()))
        assert.equal(await metadata.hasRepository(repository), false)
      })

      it('of an index may be asked to have their children, which are manifests or blobs', async () => {
        const repository = freshRepository()
        const [child, absentChild] = [looseManifest('child'), looseManifest('absent child')]
        const blob = await commitText(metadata, repository, 'cache layer', clock.time)
        const index = (...children: readonly Digest[]) => indexOf(children, 'all')
        await metadata.putManifest(repository, child)
        await metadata.putManifest(repository, index(child.digest, blob.digest))
        const error = await rejectsWith(
          'missing_reference',
          metadata.putManifest(repository, index(child.digest, absentChild.digest)),
        )
        assert.deepEqual(error.details.missing, [absentChild.digest])
        await metadata.putManifest(repository, indexOf([absentChild.digest], 'blobs'))
      })

      it('may name a subject that is not there', async () => {
        const repository = freshRepository()
        const { digest } = await commitText(metadata, repository, 'config', clock.time)
        const referrer = imageManifest({ config: digest, subject: absent, annotations: { a: 'b' } })
        await metadata.putManifest(repository, {
          ...referrer,
          artifactType: 'text/x',
          annotations: { a: 'b' },
        })
        await metadata.statManifest(repository, parseReference(referrer.digest))
      })

      it('may have more layers than one statement has room for', async () => {
        const repository = freshRepository()
        const { digest } = await commitText(metadata, repository, 'config', clock.time)
        const layers = Array.from({ length: 1200 }, (_, index) => digestOf(Buffer.from(`layer ${index}`)))
        const error = await rejectsWith(
          'missing_reference',
          metadata.putManifest(repository, imageManifest({ config: digest, layers })),
        )
        assert.equal(error.details.missing?.length, 1200)
        const many = Array.from({ length: 1200 }, () => digest)
        await metadata.putManifest(repository, imageManifest({ config: digest, layers: many }))
      })

      it('have annotations with any character, but no NUL in a media type', async () => {
        const repository = freshRepository()
        const { digest } = await commitText(metadata, repository, 'config', clock.time)
        const annotations = { 'nul \0': '\0 and \ud800, half a character, and \u{1f4a5}' }
        const manifest = { ...imageManifest({ config: digest, subject: absent, annotations }), annotations }
        await rejectsWith(
          'invalid',
          metadata.putManifest(repository, { ...manifest, artifactType: 'text/nul\0' }),
        )
        await rejectsWith('not_found', metadata.statManifest(repository, parseReference(manifest.digest)))
        await metadata.putManifest(repository, { ...manifest, artifactType: 'text/x' })
        const list = (...artifactTypes: string[]) =>
          metadata.listReferrers(repository, absent, { artifactTypes, maxBytes: 1_000_000 })
        assert.deepEqual((await list('text/x', 'text/\0')).referrers[0]?.annotations, annotations)
        assert.deepEqual((await list('text/\0')).referrers, [])
      })

      it('may be as large as the registry takes', async () => {
        const repository = freshRepository()
        const bytes = Buffer.alloc(4 * 1024 * 1024, 0xff)
        const manifest = { ...looseManifest('large'), bytes, size: bytes.length, digest: digestOf(bytes) }
        await metadata.putManifest(repository, manifest)
        const stored = await metadata.getManifest(repository, parseReference(manifest.digest))
        assert.ok(bytes.equals(stored.bytes))
      })

      it('are deleted with their tags', async () => {
        const repository = freshRepository()
        const [kept, gone] = [looseManifest('kept', 'kept'), looseManifest('gone', 'x', 'y')]
        await metadata.putManifest(repository, kept)
        await metadata.putManifest(repository, gone)
        await metadata.deleteManifest(repository, gone.digest)
        assert.deepEqual(await metadata.listTags(repository, { limit: 9 }), ['kept'])
        await rejectsWith('not_found', metadata.getManifest(repository, parseReference(gone.digest)))
        await rejectsWith('not_found', metadata.deleteManifest(repository, gone.digest))
      })

      it('of another repository are not found', async () => {
        const [repository, other] = [freshRepository(), freshRepository()]
        const manifest = looseManifest('mine', 'mine')
        await metadata.putManifest(repository, manifest)
        for (const text of ['mine', manifest.digest]) {
          const error = await rejectsWith('not_found', metadata.statManifest(other, parseReference(text)))
          assert.equal(error.details.resource, 'manifest')
        }
      })
    })

    describe('tags and repositories', () => {
      const names = ['B', '_', 'a', 'Z', '0', 'a.b', 'a-b', 'aB', 'A']

      it('list tags in byte order, page by page', async () => {
        const repository = freshRepository()
        await metadata.putManifest(repository, looseManifest('tagged', ...names))
        const sorted = names.toSorted()
        assert.deepEqual(await metadata.listTags(repository, { limit: 100 }), sorted)
        const seen: string[] = []
        for (;;) {
          const page = await metadata.listTags(repository, { limit: 2, after: seen.at(-1) })
          if (page.length === 0) break
          seen.push(...page)
        }
        assert.deepEqual(seen, sorted)
        assert.deepEqual(await metadata.listTags(repository, { limit: 1, after: 'a-c' }), ['a.b'])
        assert.deepEqual(await metadata.listTags(repository, { limit: 1, after: 'a\0b' }), ['a-b'])
      })

      it('say when there is no repository to list', async () => {
        const error = await rejectsWith('not_found', metadata.listTags(freshRepository(), { limit: 1 }))
        assert.equal(error.details.resource, 'repository')
      })

      it('delete a tag and keep the manifest', async () => {
        const repository = freshRepository()
        const manifest = looseManifest('untagged', 'gone')
        await metadata.putManifest(repository, manifest)
        await metadata.deleteTag(repository, parseTag('gone'))
        await metadata.statManifest(repository, parseReference(manifest.digest))
        await rejectsWith('not_found', metadata.statManifest(repository, parseReference('gone')))
        await rejectsWith('not_found', metadata.deleteTag(repository, parseTag('gone')))
      })

      it('list repositories in byte order, page by page', async () => {
        const wanted = ['zz/a', 'zz/a-b', 'zz/a/b', 'zz/a0', 'zz/aa'].map(parseRepositoryName)
        for (const name of wanted.toReversed()) await metadata.putManifest(name, looseManifest('any'))
        assert.deepEqual(await metadata.listRepositories({ limit: 9, after: 'zz' }), wanted.toSorted())
        assert.deepEqual(await metadata.listRepositories({ limit: 1, after: 'zz/a' }), ['zz/a-b'])
        assert.deepEqual(await metadata.listRepositories({ limit: 1, after: 'zz/a\0' }), ['zz/a-b'])
        assert.equal(await metadata.hasRepository(parseRepositoryName('zz/a')), true)
        assert.equal(await metadata.hasRepository(parseRepositoryName('zz')), false)
      })
    })

    describe('blobs', () => {
      it('are there for the repository that they were pushed to, and no other', async () => {
        const repository = freshRepository()
        const { digest, size, objectKey } = await commitText(metadata, repository, 'mine', clock.time)
        assert.deepEqual(await metadata.findBlob(repository, digest), { digest, size, objectKey })
        assert.equal(await metadata.hasRepository(repository), true)
        const error = await rejectsWith('not_found', metadata.findBlob(freshRepository(), digest))
        assert.equal(error.details.resource, 'blob')
      })

      it('keep the object that came first', async () => {
        const [one, two] = [freshRepository(), freshRepository()]
        const first = await commitText(metadata, one, 'twice', clock.time)
        const upload = newUpload(two, clock.time)
        await metadata.createUpload(upload)
        const stored = await metadata.commitBlob({ ...first, ...commitOf(upload), repository: two })
        assert.equal(stored.objectKey, first.objectKey)
        assert.ok((await metadata.listGarbage(100)).includes(upload.objectKey))
        assert.equal((await metadata.findBlob(two, first.digest)).objectKey, first.objectKey)
      })

      it('are linked from a repository that has them', async () => {
        const [from, repository] = [freshRepository(), freshRepository()]
        const { digest, size, objectKey } = await commitText(metadata, from, 'mounted', clock.time)
        const link = { repository, from, digest }
        assert.deepEqual(await metadata.linkBlob(link), { digest, size, objectKey })
        assert.deepEqual(await metadata.linkBlob(link), { digest, size, objectKey })
        await metadata.findBlob(repository, digest)
        const other = freshRepository()
        await rejectsWith('not_found', metadata.linkBlob({ repository: other, from: other, digest }))
        await rejectsWith('not_found', metadata.linkBlob({ repository: other, from, digest: absent }))
        assert.equal(await metadata.hasRepository(other), false)
      })

      it('are linked from whichever repository has them', async () => {
        const [holder, repository] = [freshRepository(), freshRepository()]
        const { digest, size, objectKey } = await commitText(metadata, holder, 'anywhere', clock.time)
        const link = { repository, from: undefined, digest }
        assert.deepEqual(await metadata.linkBlob(link), { digest, size, objectKey })
        await metadata.findBlob(repository, digest)
        for (const linked of [holder, repository]) await metadata.unlinkBlob(linked, digest)
        const other = freshRepository()
        await rejectsWith('not_found', metadata.linkBlob({ ...link, repository: other }))
        assert.equal(await metadata.hasRepository(other), false)
      })

      it('are unlinked unless a manifest names them', async () => {
        const repository = freshRepository()
        const { digest } = await commitText(metadata, repository, 'named', clock.time)
        const manifest = imageManifest({ config: digest })
        await metadata.putManifest(repository, manifest)
        await rejectsWith('conflict', metadata.unlinkBlob(repository, digest))
        await metadata.deleteManifest(repository, manifest.digest)
        await metadata.unlinkBlob(repository, digest)
        await rejectsWith('not_found', metadata.findBlob(repository, digest))
        await rejectsWith('not_found', metadata.unlinkBlob(repository, digest))
      })
    })

    it('agrees on one value, however many propose one', async () => {
      const proposals = Array.from({ length: 8 }, (_, index) => `proposal ${index}`)
      const agreed = await Promise.all(
        proposals.map((proposed, index) =>
          (index % 2 === 0 ? opened.metadata : opened.replica).agreeOn('upload-secret', proposed),
        ),
      )
      assert.equal(new Set(agreed).size, 1)
      assert.ok(proposals.includes(String(agreed[0])))
      assert.equal(await opened.replica.agreeOn('upload-secret', 'too late'), agreed[0])
    })

    metadataAdoptionContract(() => metadata, clock)
    metadataConditionContract(() => metadata)
    metadataReferrerContract(() => metadata, clock)
    metadataParentContract(() => metadata, clock)
    metadataUploadContract(() => metadata, clock)
    metadataRaceContract(() => opened, clock)
    metadataEventContract(() => opened, clock)
    tenantContract(() => metadata, clock)
    visibleRepositoryContract(() => metadata, clock)
    accountContract(() => metadata, clock)
    credentialContract(() => metadata, clock)
    accountRaceContract(() => opened, clock)

    it('throws the reason of a signal that is aborted already, from every method', async () => {
      const reason = new Error('not wanted any more')
      const options = { signal: AbortSignal.abort(reason) }
      const repository = freshRepository()
      const upload = newUpload(repository, clock.time)
      const [tenant, account] = [freshTenant(), freshUser()]
      const page = { limit: 1 }
      const reference = parseReference('latest')
      const lease = { holder: 'holder', until: new Date() }
      const progress: UploadProgress = {
        offset: 0,
        multipartToken: null,
        parts: [],
        tail: null,
        nextTailKey: null,
        hashState: null,
        digestAtOffset: null,
        expiresAt: new Date(),
      }
      const attempts: Record<string, () => Promise<unknown>> = {
        ping: () => metadata.ping(options),
        hasRepository: () => metadata.hasRepository(repository, options),
        listRepositories: () => metadata.listRepositories(page, options),
        putManifest: () => metadata.putManifest(repository, looseManifest('aborted'), options),
        getManifest: () => metadata.getManifest(repository, reference, options),
        statManifest: () => metadata.statManifest(repository, reference, options),
        deleteManifest: () => metadata.deleteManifest(repository, absent, options),
        listReferrers: () =>
          metadata.listReferrers(repository, absent, { artifactTypes: [], maxBytes: 1 }, options),
        listParents: () => metadata.listParents(repository, absent, 1, options),
        listTags: () => metadata.listTags(repository, page, options),
        deleteTag: () => metadata.deleteTag(repository, parseTag('latest'), options),
        findBlob: () => metadata.findBlob(repository, absent, options),
        commitBlob: () => metadata.commitBlob(commitOf(upload, absent), options),
        linkBlob: () => metadata.linkBlob({ repository, from: repository, digest: absent }, options),
        unlinkBlob: () => metadata.unlinkBlob(repository, absent, options),
        createUpload: () => metadata.createUpload(upload, options),
        getUpload: () => metadata.getUpload(repository, upload.id, options),
        leaseUpload: () => metadata.leaseUpload(repository, upload.id, lease, options),
        saveUpload: () => metadata.saveUpload(upload.id, 'holder', progress, options),
        releaseUpload: () => metadata.releaseUpload(upload.id, 'holder', options),
        deleteUpload: () => metadata.deleteUpload(upload.id, options),
        expiredUploads: () => metadata.expiredUploads(new Date(), 1, options),
        claimExpiredUpload: () => metadata.claimExpiredUpload(upload.id, new Date(), options),
        knownMultiparts: () => metadata.knownMultiparts(['token'], options),
        listGarbage: () => metadata.listGarbage(1, options),
        forgetGarbage: () => metadata.forgetGarbage([newObjectKey()], options),
        addEvents: () => metadata.addEvents([], options),
        listEvents: () => metadata.listEvents({ after: 0, limit: 1 }, options),
        eventBounds: () => metadata.eventBounds(options),
        deleteEvents: () => metadata.deleteEvents(new Date(), 1, options),
        registerEndpoints: () => metadata.registerEndpoints(['aborted'], options),
        leaseEndpoint: () =>
          metadata.leaseEndpoint('aborted', { holder: 'holder', until: new Date() }, options),
        saveEndpoint: () => metadata.saveEndpoint('aborted', 'holder', { position: 0, failures: 0 }, options),
        listEndpoints: () => metadata.listEndpoints(options),
        listRepositoriesOf: () => metadata.listRepositoriesOf(null, page, options),
        repositoriesWithBlob: () => metadata.repositoriesWithBlob(absent, 1, options),
        createTenant: () => metadata.createTenant({ name: tenant }, options),
        getTenant: () => metadata.getTenant(tenant, options),
        listTenants: () => metadata.listTenants(page, options),
        updateTenant: () => metadata.updateTenant(tenant, {}, options),
        deleteTenant: () => metadata.deleteTenant(tenant, options),
        setMember: () => metadata.setMember(tenant, account, 'guest', options),
        removeMember: () => metadata.removeMember(tenant, account, options),
        listMembers: () => metadata.listMembers(tenant, page, options),
        listMemberships: () => metadata.listMemberships(account, options),
        addGrant: () =>
          metadata.addGrant({ tenant, subject: account, pattern: '**', actions: ['pull'] }, options),
        removeGrant: () => metadata.removeGrant(tenant, 'nul \0', options),
        listGrants: () => metadata.listGrants(tenant, options),
        setRepositoryVisibility: () => metadata.setRepositoryVisibility(repository, 'public', options),
        accessFacts: () => metadata.accessFacts(account, repository, options),
        createAccount: () => metadata.createAccount({ name: account, kind: 'user' }, options),
        getAccount: () => metadata.getAccount(account, options),
        findAccount: () => metadata.findAccount(account, options),
        listAccounts: () => metadata.listAccounts(page, options),
        updateAccount: () => metadata.updateAccount(account, {}, options),
        rehashPassword: () => metadata.rehashPassword(account, 'from', 'to', options),
        deleteAccount: () => metadata.deleteAccount(account, options),
        addCredential: () => metadata.addCredential(newCredential(account), options),
        findCredential: () => metadata.findCredential('nul \0', options),
        listCredentials: () => metadata.listCredentials(account, 'token', options),
        revokeCredential: () => metadata.revokeCredential(account, 'nul \0', options),
        noteUses: () => metadata.noteUses([], options),
        deleteOldCredentials: () => metadata.deleteOldCredentials(new Date(), options),
        listSigningKeys: () => metadata.listSigningKeys(options),
        addSigningKey: () =>
          metadata.addSigningKey({ id: 'aborted', jwk: '{}', createdAt: new Date() }, null, options),
        deleteSigningKeys: () => metadata.deleteSigningKeys([], options),
        agreeOn: () => metadata.agreeOn('upload-secret', 'aborted', options),
      }
      for (const [method, attempt] of Object.entries(attempts))
        await assert.rejects(attempt, (error: unknown) => error === reason, method)
      assert.equal(await metadata.hasRepository(repository), false)
    })
  })
}

function commitOf(upload: ReturnType<typeof newUpload>, digest: Digest = digestOf(Buffer.from('twice'))) {
  const { repository, objectKey, id, holder } = upload
  return { repository, objectKey, uploadId: id, holder, digest, size: 5 }
}

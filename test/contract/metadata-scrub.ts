import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { parseTenantName } from '../../src/storage/accounts/names.ts'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import type { StoredBlob } from '../../src/storage/metadata/blob-records.ts'
import { defaultKeepTimes } from '../../src/storage/metadata/keep-times.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import type { ScrubbedBlob } from '../../src/storage/metadata/scrub-records.ts'
import { adoptedObjectKey, newObjectKey, type ObjectKey } from '../../src/storage/objects/keys.ts'
import type { RepositoryName } from '../../src/storage/reference.ts'
import { commitText, freshRepository, imageManifest, newUpload } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

/** Of {@link freshRepository}. */
const tenantOfTest = parseTenantName('test')
const { keepDamagedMs, objectDelayMs, graceMs } = defaultKeepTimes

/** The executable half of ScrubRecords, with the default times. */
export function scrubContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`${name} as ScrubRecords`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    let metadata: Metadata
    before(async () => {
      opened = await open(() => clock.time)
      metadata = opened.metadata
    })
    after(() => opened.close())

    const commit = (repository: RepositoryName, text: string) =>
      commitText(metadata, repository, `${text} of ${repository}`, clock.time)
    const quarantine = ({ digest, objectKey }: StoredBlob, kind: 'corrupt' | 'missing' = 'corrupt') =>
      metadata.quarantineBlob({ digest, objectKey, kind, detail: 'it has 3 bytes' })
    async function pushAgain(repository: RepositoryName, { digest, size }: StoredBlob): Promise<StoredBlob> {
      const upload = newUpload(repository, clock.time)
      await metadata.createUpload(upload)
      return await metadata.commitBlob({ ...upload, digest, size, uploadId: upload.id })
    }
    async function allBlobs(): Promise<ScrubbedBlob[]> {
      const found: ScrubbedBlob[] = []
      for (let last: Digest | undefined; ; ) {
        const page = await metadata.listBlobs(last, 3)
        found.push(...page)
        if (page.length < 3) return found
        last = page.at(-1)?.digest
      }
    }
    const garbage = () => metadata.listGarbage(10_000)

    it('a quarantined blob is not there for anybody, and nothing may newly name it', async () => {
      const [repository, other] = [freshRepository(), freshRepository()]
      const blob = await commit(repository, 'bad')
      const named = imageManifest({ config: blob.digest, tags: ['v1'] })
      await metadata.putManifest(repository, named)
      assert.equal(await quarantine(blob), true)
      assert.equal(await quarantine(blob), false)

      const error = await rejectsWith('not_found', metadata.findBlob(repository, blob.digest))
      assert.match(error.message, /was found damaged .* push it again/)
      assert.doesNotMatch(
        (await rejectsWith('not_found', metadata.findBlob(other, blob.digest))).message,
        /damaged/,
      )
      const { digest } = blob
      for (const from of [repository, undefined])
        await rejectsWith('not_found', metadata.linkBlob({ repository: other, from, digest }))
      assert.deepEqual(await metadata.repositoriesWithBlob(digest, 9), [])
      assert.deepEqual(await metadata.repositoriesWithBlob(digest, 9, { viewer: { account: null } }), [])
      const again = imageManifest({ config: digest, annotations: { a: 'b' } })
      const refused = await rejectsWith('missing_reference', metadata.putManifest(repository, again))
      assert.deepEqual(refused.details.missing, [digest])
      assert.ok(await metadata.hasFaults(repository))
      assert.equal(await metadata.hasFaults(other), false)
      // What names it is still there.
      assert.equal(
        (await metadata.getManifest(repository, { kind: 'digest', digest: named.digest })).size,
        named.size,
      )
    })

    it('a push brings a quarantined blob back, and its old object goes after a while', async () => {
      const [repository, other] = [freshRepository(), freshRepository()]
      const blob = await commit(repository, 'healed')
      await metadata.linkBlob({ repository: other, from: repository, digest: blob.digest })
      const usage = await metadata.recountUsage(tenantOfTest)
      await quarantine(blob, 'missing')
      const before = (await metadata.scrubState()).totals
      const stored = await pushAgain(other, blob)
      assert.notEqual(stored.objectKey, blob.objectKey)
      for (const name of [repository, other])
        assert.equal((await metadata.findBlob(name, blob.digest)).objectKey, stored.objectKey)
      assert.equal(await metadata.findFault(blob.digest), undefined)
      assert.equal((await metadata.scrubState()).totals.healed, before.healed + 1)
      assert.deepEqual(await metadata.recountUsage(tenantOfTest), usage)
      assert.deepEqual(await metadata.getUsage(tenantOfTest), usage)
      clock.time += keepDamagedMs - 1
      assert.ok(!(await garbage()).includes(blob.objectKey))
      clock.time += 1
      assert.ok((await garbage()).includes(blob.objectKey))
      assert.ok(!(await garbage()).includes(stored.objectKey))
    })

    it('a push of another size than was believed, as of what was adopted on trust, is what all tenants use', async () => {
      const [repository, other] = [freshRepository(), freshRepository()]
      const blob = await commit(repository, 'cut off')
      await metadata.linkBlob({ repository: other, from: repository, digest: blob.digest })
      const before = await metadata.getUsage(tenantOfTest)
      await quarantine(blob)
      await pushAgain(other, { ...blob, size: blob.size + 100 })
      const after = await metadata.getUsage(tenantOfTest)
      assert.equal(after.bytes, before.bytes + 100)
      assert.deepEqual(await metadata.recountUsage(tenantOfTest), after)
    })

    it('a push that was acknowledged and is repeated is not said to be there when it is damaged', async () => {
      const repository = freshRepository()
      const upload = newUpload(repository, clock.time)
      await metadata.createUpload(upload)
      const digest = digestOf(Buffer.from(`repeated ${repository}`))
      const push = { ...upload, digest, size: 3, uploadId: upload.id }
      await quarantine(await metadata.commitBlob(push))
      await rejectsWith('not_found', metadata.commitBlob(push))
    })

    it('only the object that was looked at is quarantined', async () => {
      const repository = freshRepository()
      const blob = await commit(repository, 'moved on')
      assert.equal(await quarantine({ ...blob, objectKey: newObjectKey() }), false)
      assert.equal((await metadata.findBlob(repository, blob.digest)).objectKey, blob.objectKey)
      await metadata.unlinkBlob(repository, blob.digest)
      assert.equal(await quarantine(blob), false)
      const again = await pushAgain(repository, blob)
      assert.equal(await quarantine(blob), false)
      assert.equal((await metadata.findBlob(repository, blob.digest)).objectKey, again.objectKey)
    })

    it('of many who bring one back, one does, and the others’ objects are garbage', async () => {
      const repository = freshRepository()
      const blob = await commit(repository, 'raced')
      await quarantine(blob)
      const healed = (await metadata.scrubState()).totals.healed
      const uploads = Array.from({ length: 8 }, () => newUpload(repository, clock.time))
      for (const upload of uploads) await metadata.createUpload(upload)
      const all = await Promise.all(
        uploads.map((upload, index) =>
          (index % 2 === 0 ? metadata : opened.replica).commitBlob({
            ...upload,
            digest: blob.digest,
            size: blob.size,
            uploadId: upload.id,
          }),
        ),
      )
      assert.equal(new Set(all.map(({ objectKey }) => objectKey)).size, 1)
      assert.equal((await metadata.scrubState()).totals.healed, healed + 1)
      const now = await garbage()
      const lost = uploads.filter(({ objectKey }) => objectKey !== all[0]?.objectKey)
      assert.equal(lost.filter(({ objectKey }) => now.includes(objectKey)).length, 7)
      assert.equal((await metadata.findBlob(repository, blob.digest)).objectKey, all[0]?.objectKey)
    })

    it('the last link takes a quarantined blob and its fault with it', async () => {
      const repository = freshRepository()
      const blob = await commit(repository, 'goes')
      await quarantine(blob)
      await metadata.unlinkBlob(repository, blob.digest)
      assert.equal(await metadata.findFault(blob.digest), undefined)
      clock.time += objectDelayMs
      assert.ok((await garbage()).includes(blob.objectKey))
      await pushAgain(repository, blob)
      assert.ok(await metadata.findBlob(repository, blob.digest))
    })

    it('one that is pulled by nobody goes as others do', async () => {
      const repository = freshRepository()
      const blob = await commit(repository, 'unnamed')
      await quarantine(blob)
      clock.time += graceMs
      while ((await metadata.reviewLinks(100)).seen === 100);
      assert.equal(await metadata.findFault(blob.digest), undefined)
    })

    it('faults are listed by digest, with who has the blob', async () => {
      const [one, two] = [freshRepository(), freshRepository()]
      const blob = await commit(one, 'listed')
      await metadata.linkBlob({ repository: two, from: one, digest: blob.digest })
      await quarantine(blob)
      const fault = (await metadata.findFault(blob.digest)) ?? assert.fail()
      assert.deepEqual(
        [fault.kind, fault.size, fault.detail, fault.foundAt.getTime(), fault.objectKey],
        ['corrupt', blob.size, 'it has 3 bytes', clock.time, blob.objectKey],
      )
      assert.deepEqual(fault.repositories, [one, two].sort())
      const all = await metadata.listFaults(undefined, 1000)
      assert.deepEqual(
        all.map(({ digest }) => digest),
        all.map(({ digest }) => digest).sort(),
      )
      assert.ok(all.some(({ digest }) => digest === blob.digest))
      assert.ok((await metadata.listFaults(blob.digest, 1000)).every(({ digest }) => digest > blob.digest))
      assert.deepEqual(await metadata.faultsOfSize(blob.size, 1000), [
        ...all.filter(({ size }) => size === blob.size).map(({ digest }) => digest),
      ])
      const counts = await metadata.countFaults()
      assert.equal(counts.corrupt, all.filter(({ kind }) => kind === 'corrupt').length)
    })

    it('all blobs are listed in byte order, those in quarantine too', async () => {
      const repository = freshRepository()
      const blobs = await Promise.all([...Array(7).keys()].map(index => commit(repository, `blob ${index}`)))
      const [bad] = blobs
      if (bad === undefined) assert.fail()
      await quarantine(bad)
      const found = await allBlobs()
      const digests = found.map(({ digest }) => digest)
      assert.deepEqual(digests, [...new Set(digests)].sort())
      for (const { digest, objectKey, size } of blobs)
        assert.deepEqual(
          found.find(each => each.digest === digest),
          { digest, objectKey, size, isQuarantined: digest === bad.digest },
        )
    })

    it('what any row names is not unknown', async () => {
      const repository = freshRepository()
      const blob = await commit(repository, 'known')
      const upload = newUpload(repository, clock.time)
      await metadata.createUpload(upload)
      const bad = await commit(repository, 'at fault')
      await quarantine(bad)
      const gone = await commit(repository, 'gone')
      await metadata.unlinkBlob(repository, gone.digest)
      const stranger = newObjectKey()
      const known = [blob.objectKey, upload.objectKey, upload.nextTailKey, bad.objectKey, gone.objectKey]
      assert.deepEqual([...(await metadata.unknownObjects([...known, stranger]))], [stranger])
      const tail = { objectKey: newObjectKey(), size: 1, digest: null }
      await metadata.saveUpload(upload.id, upload.holder, {
        offset: 1,
        multipartToken: null,
        parts: [],
        tail,
        nextTailKey: null,
        hashState: null,
        digestAtOffset: null,
        expiresAt: upload.expiresAt,
      })
      assert.equal((await metadata.unknownObjects([tail.objectKey])).size, 0)
      assert.equal((await metadata.unknownObjects([])).size, 0)
      const many = Array.from({ length: 1200 }, () => newObjectKey())
      assert.equal((await metadata.unknownObjects([...many, blob.objectKey])).size, 1200)
    })

    it('a stray heals the blob whose bytes it has, once', async () => {
      const repository = freshRepository()
      const blob = await commit(repository, 'found again')
      await quarantine(blob, 'missing')
      const [stray, other] = [newObjectKey(), newObjectKey()].map(key => ({ key, size: blob.size }))
      if (stray === undefined || other === undefined) assert.fail()
      assert.equal(await metadata.noteStrays([stray, other]), 2)
      assert.equal(await metadata.noteStrays([stray]), 0)
      const candidates = await metadata.straysFor(blob, 1000)
      assert.ok(candidates.some(({ key }) => key === stray.key))
      await metadata.noteStrayDigest(other.key, digestOf(Buffer.from('something else')))
      assert.ok(!(await metadata.straysFor(blob, 1000)).some(({ key }) => key === other.key))
      // One that nobody has noted is nobody's to give.
      assert.equal(await metadata.healBlob(blob.digest, { key: newObjectKey(), size: blob.size }), false)
      assert.equal(await metadata.healBlob(blob.digest, { ...stray, size: blob.size + 1 }), false)
      assert.deepEqual(
        await Promise.all([
          metadata.healBlob(blob.digest, stray),
          opened.replica.healBlob(blob.digest, stray),
        ]).then(results => results.filter(isHealed => isHealed).length),
        1,
      )
      assert.equal((await metadata.findBlob(repository, blob.digest)).objectKey, stray.key)
      assert.ok(!(await metadata.listStrays(undefined, 1000)).some(({ key }) => key === stray.key))
    })

    it('a digest of another algorithm keeps no stray from being looked at', async () => {
      const repository = freshRepository()
      const blob = await commit(repository, 'of sha512')
      const stray = { key: newObjectKey(), size: blob.size }
      await metadata.noteStrays([stray])
      await metadata.noteStrayDigest(stray.key, digestOf(Buffer.from('x')))
      const asSha512 = { digest: digestOf(Buffer.from('y'), 'sha512'), size: blob.size }
      assert.ok((await metadata.straysFor(asSha512, 1000)).some(({ key }) => key === stray.key))
      assert.ok(!(await metadata.straysFor(blob, 1000)).some(({ key }) => key === stray.key))
    })

    it('its own object heals a blob whose bytes are right again, and stays', async () => {
      const repository = freshRepository()
      const blob = await commit(repository, 'came back')
      const object = { key: blob.objectKey, size: blob.size }
      assert.equal(await metadata.healBlob(blob.digest, object), false)
      await quarantine(blob)
      assert.equal(await metadata.healBlob(blob.digest, object), true)
      assert.equal((await metadata.findBlob(repository, blob.digest)).objectKey, blob.objectKey)
      clock.time += 2 * keepDamagedMs
      assert.ok(!(await garbage()).includes(blob.objectKey))
    })

    it('an adopted object that is put right under its own name stays', async () => {
      const repository = freshRepository()
      const objectKey = adoptedObjectKey(`docker/${repository}`) ?? assert.fail()
      const { digest, size } = await commit(freshRepository(), `adopted by ${repository}`)
      const own = digestOf(Buffer.from(`${digest} adopted`))
      const adopted = await metadata.adoptBlob({ repository, digest: own, size, objectKey })
      await quarantine(adopted)
      assert.equal(
        (await metadata.adoptBlob({ repository, digest: own, size, objectKey })).objectKey,
        objectKey,
      )
      assert.ok(await metadata.findBlob(repository, own))
      clock.time += 2 * keepDamagedMs
      assert.ok(!(await garbage()).includes(objectKey))
    })

    it('strays that were read are discarded after a while, unless something names them by then', async () => {
      const repository = freshRepository()
      await forgetAll()
      const [read, unread, used] = [newObjectKey(), newObjectKey(), newObjectKey()]
      await metadata.noteStrays([read, unread, used].map(key => ({ key, size: 5 })))
      const strays = (await metadata.scrubState()).totals.strays
      for (const key of [read, used]) await metadata.noteStrayDigest(key, digestOf(Buffer.from(key)))
      await metadata.noteStrayDigest(read, digestOf(Buffer.from('again')))
      assert.equal((await metadata.scrubState()).totals.strays, strays + 2)
      const found = new Date(clock.time)
      assert.deepEqual(await metadata.unreadStrays(new Date(clock.time - 1), undefined, 9), [])
      const [first] = await metadata.unreadStrays(found, undefined, 9)
      assert.deepEqual(first, { key: unread, size: 5, digest: null, foundAt: found })
      assert.deepEqual(await metadata.unreadStrays(found, unread, 9), [])
      assert.deepEqual(await metadata.countStrays(), { objects: 3, bytes: 15 })
      await metadata.createUpload(newUpload(repository, clock.time, { objectKey: used }))
      assert.equal(await metadata.discardStrays(found, 9), 0)
      clock.time += 1
      assert.equal(await metadata.discardStrays(new Date(clock.time), 9), 1)
      const now = await garbage()
      assert.deepEqual(
        [read, unread, used].map(key => now.includes(key)),
        [true, false, false],
      )
      // That garbage is a blob's, so a pause of the collection keeps it.
      assert.ok(!(await metadata.listGarbage(10_000, { ofUploads: true })).includes(read))
      assert.deepEqual(
        (await metadata.listStrays(undefined, 9)).map(({ key }) => key),
        [unread],
      )
      await metadata.forgetStrays([unread, read])
      assert.deepEqual(await metadata.listStrays(undefined, 9), [])
    })

    async function forgetAll(): Promise<void> {
      const all: ObjectKey[] = (await metadata.listStrays(undefined, 1000)).map(({ key }) => key)
      await metadata.forgetStrays(all)
    }

    it('a pass begins, goes on, stops and ends, and one that was begun anew is not saved over', async () => {
      const known = (await allBlobs()).length
      await metadata.requestScrub(false)
      const first = await metadata.scrubState()
      assert.deepEqual(first.place, { phase: 'blobs', after: undefined })
      assert.deepEqual([first.beganAt?.getTime(), first.pass.known], [clock.time, known])
      const pass = first.pass.number
      const after = digestOf(Buffer.from('cursor'))
      const done = { blobs: 2, bytes: 10, missing: 1 }
      assert.ok(await metadata.saveScrub({ pass, place: { phase: 'blobs', after }, ...done }))
      await metadata.requestScrub(false)
      const second = await metadata.scrubState()
      assert.deepEqual(second.place, { phase: 'blobs', after })
      assert.deepEqual(
        [second.pass.number, second.pass.blobs, second.pass.missing, second.pass.takesAll],
        [pass, 2, 1, false],
      )
      assert.equal(second.totals.bytes, first.totals.bytes + 10)

      const none = { blobs: 0, bytes: 0, missing: 0 }
      await metadata.saveScrub({ pass, place: { phase: 'blobs', after }, isStopped: true, ...none })
      assert.equal((await metadata.scrubState()).pass.stoppedAt?.getTime(), clock.time)
      await metadata.requestScrub(true)
      const going = await metadata.scrubState()
      assert.deepEqual(
        [going.place, going.pass.number, going.pass.stoppedAt, going.pass.takesAll],
        [{ phase: 'blobs', after }, pass, null, true],
      )
      await metadata.saveScrub({ pass, place: { phase: 'blobs', after }, isStopped: true, ...none })
      await metadata.requestScrub(false)
      const anew = await metadata.scrubState()
      assert.deepEqual(anew.place, { phase: 'blobs', after: undefined })
      assert.deepEqual([anew.pass.number, anew.pass.blobs, anew.pass.takesAll], [pass + 1, 0, false])
      assert.equal(await metadata.saveScrub({ pass, place: null, ...none }), false)
      assert.ok((await metadata.scrubState()).place)
      const key = newObjectKey()
      assert.ok(
        await metadata.saveScrub({ pass: pass + 1, place: { phase: 'objects', after: key }, ...none }),
      )
      assert.deepEqual((await metadata.scrubState()).place, { phase: 'objects', after: key })
      clock.time += 5
      assert.ok(await metadata.saveScrub({ pass: pass + 1, place: null, ...none }))
      const ended = await metadata.scrubState()
      assert.deepEqual([ended.place, ended.endedAt?.getTime()], [null, clock.time])
    })

    it('one process scrubs at a time', async () => {
      const until = new Date(clock.time + 1000)
      assert.ok(await metadata.leaseScrub({ holder: 'one', until }))
      assert.equal(await opened.replica.leaseScrub({ holder: 'two', until }), false)
      await metadata.releaseScrub('one')
      assert.ok(await opened.replica.leaseScrub({ holder: 'two', until }))
      await metadata.releaseScrub('two')
    })
  })
}

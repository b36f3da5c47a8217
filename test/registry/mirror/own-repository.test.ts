import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { eventsAfter } from '../../contract/metadata-events.ts'
import { DomainError } from '../../../src/errors.ts'
import { QuotaBlobStore } from '../../../src/registry/limits/quota-blob-store.ts'
import { putWithinQuota } from '../../../src/registry/limits/quota-manifests.ts'
import { TenantQuotas } from '../../../src/registry/limits/tenant-quotas.ts'
import { OwnRegistry, type OwnRegistryOptions } from '../../../src/registry/mirror/own-registry.ts'
import { parseTenantName, tenantOf } from '../../../src/storage/accounts/names.ts'
import type { BlobInfo } from '../../../src/storage/blobs/blob-store.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { copyImage } from '../../../src/storage/images/copy-image.ts'
import type { OpenBlobFrom } from '../../../src/storage/images/image-repository.ts'
import { parseReference, parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { sourceOf } from '../../contract/image-repository.ts'
import { TestBlobStore, testSettings } from '../../support/blob-store.ts'
import { ImageGraph } from '../../support/image-graph.ts'
import { MemoryRepository } from '../../support/memory-repository.ts'
import { freshRepository, imageManifest, indexOf, looseManifest } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'

const times = { waitMs: 200, retryMs: 5, longestPauseMs: 5 }
const by = {
  requestId: 'run-1',
  address: '127.0.0.1',
  scheme: 'http',
  host: '',
  method: 'PUT',
  userAgent: 'varve-mirror',
  account: 'varve-mirror',
} as const

describe('Our own repositories, as a place to copy to', () => {
  let opened: TestBlobStore
  before(async () => {
    opened = await TestBlobStore.open('filesystem')
  })
  after(() => opened.close())

  const registry = (options: Partial<OwnRegistryOptions> = {}) =>
    new OwnRegistry({ blobs: opened.blobs, metadata: opened.metadata, times, ...options })

  function randomBlob(size: number): { bytes: Buffer; blob: BlobInfo } {
    const bytes = randomBytes(size)
    return { bytes, blob: { digest: digestOf(bytes), size } }
  }

  /** What it was asked for is in `offsets`. */
  function watched(bytes: Buffer): { open: OpenBlobFrom; offsets: number[] } {
    const offsets: number[] = []
    return {
      offsets,
      open: (offset, options) => {
        offsets.push(offset)
        return sourceOf(bytes)(offset, options)
      },
    }
  }

  const confirmed = { isAtSource: async () => true }
  const failing: OpenBlobFrom = () => assert.fail('the source was asked')

  it('mount what the named repositories have, and what any has where that is allowed', async () => {
    const { bytes, blob } = randomBlob(100)
    const [from, to, elsewhere] = [freshRepository(), freshRepository(), freshRepository()]
    await registry().repository(from).putBlob(blob, sourceOf(bytes))
    const closed = registry({ by }).repository(to)
    assert.equal(await closed.mountBlob(blob, []), false)
    assert.equal(await closed.mountBlob(blob, [elsewhere]), false)
    assert.equal(await closed.hasBlob(blob), false)
    const { newest } = await opened.metadata.eventBounds()
    assert.equal(await closed.mountBlob(blob, [elsewhere, from]), true)
    assert.equal(await closed.hasBlob(blob), true)
    const [event] = await eventsAfter(opened.metadata, newest)
    assert.deepEqual([event?.action, event?.by?.account], ['mount', 'varve-mirror'])
    const open = registry({ mountsFrom: 'anywhere' }).repository(elsewhere)
    assert.equal(await open.mountBlob(blob, [], confirmed), true)
    assert.equal(await open.hasBlob(blob), true)
  })

  it('mount nothing that the source has not said to have, however well its digest is known', async () => {
    const { bytes, blob } = randomBlob(100)
    const [theirs, to] = [freshRepository(), freshRepository()]
    await registry().repository(theirs).putBlob(blob, sourceOf(bytes))
    const ours = registry({ mountsFrom: 'anywhere' }).repository(to)
    let asked = 0
    const isAtSource = async (): Promise<boolean> => {
      asked += 1
      return false
    }
    assert.equal(await ours.mountBlob(blob, []), false)
    assert.equal(await ours.mountBlob(blob, [], { isAtSource }), false)
    assert.equal(await ours.mountBlob(blob, [theirs], { isAtSource }), false)
    assert.ok(asked > 0)
    const absent: OpenBlobFrom = async () => {
      throw new DomainError('not_found', 'The source does not have it.', { resource: 'blob' })
    }
    await rejectsWith('not_found', ours.putBlob(blob, absent, { isAtSource }))
    await rejectsWith('not_found', ours.putBlob(blob, absent))
    assert.equal(await ours.hasBlob(blob), false)
    // What nobody has is not asked for.
    asked = 0
    assert.equal(await ours.mountBlob(randomBlob(10).blob, [theirs], { isAtSource }), false)
    assert.equal(asked, 0)
  })

  it('give a source nothing of others, though it names their blobs in an image of its own', async () => {
    const [theirs, to] = [freshRepository(), freshRepository()]
    const text = randomBytes(50).toString('hex')
    const secret = {
      bytes: Buffer.from(text),
      blob: { digest: digestOf(Buffer.from(text)), size: text.length },
    }
    await registry().repository(theirs).putBlob(secret.blob, sourceOf(secret.bytes))
    const graph = new ImageGraph()
    const forged = graph.image({ layers: [text] })
    graph.blobs.delete(secret.blob.digest)
    const source = new MemoryRepository('elsewhere/forged', graph, { v1: forged })
    const target = registry({ mountsFrom: 'anywhere' }).repository(to)
    const copied = copyImage(source, parseReference('v1'), target, { tags: [parseTag('v1')] })
    await rejectsWith('not_found', copied)
    assert.equal(await target.hasBlob(secret.blob), false)
    await rejectsWith('not_found', target.stat(parseReference('v1')))
    // It has it after all.
    source.blobs.set(secret.blob.digest, secret.bytes)
    source.asked = []
    await copyImage(source, parseReference('v1'), target, { tags: [parseTag('v1')] })
    assert.equal(await target.hasBlob(secret.blob), true)
    assert.ok(!source.asked.some(request => request.startsWith(`blob ${secret.blob.digest}`)))
  })

  it('give a source that says it has everything nothing private of another tenant, but what is public or of the same one', async () => {
    const [theirs, to, beside] = ['neighbour/app', 'owner/app', 'owner/beside'].map(parseRepositoryName)
    assert.ok(theirs !== undefined && to !== undefined && beside !== undefined)
    const { metadata } = opened
    for (const name of [theirs, to]) await metadata.createTenant({ name: tenantOf(name) })
    const place = registry({ mountsFrom: 'tenant' })
    const { bytes, blob } = randomBlob(100)
    await place.repository(theirs).putBlob(blob, sourceOf(bytes))
    const target = place.repository(to)
    assert.equal(await target.mountBlob(blob, [], confirmed), false)
    await rejectsWith('size_mismatch', target.putBlob(blob, sourceOf(bytes.subarray(1)), confirmed))
    assert.equal(await target.hasBlob(blob), false)
    await metadata.updateTenant(tenantOf(theirs), { visibility: 'public' })
    assert.equal(await target.mountBlob(blob, [], confirmed), true)

    const ours = randomBlob(100)
    await place.repository(beside).putBlob(ours.blob, sourceOf(ours.bytes))
    assert.equal(await target.mountBlob(ours.blob, [], confirmed), true)
  })

  it('tell nobody whose a blob was that any repository had', async () => {
    const { bytes, blob } = randomBlob(100)
    const [theirs, to] = [freshRepository(), freshRepository()]
    await registry().repository(theirs).putBlob(blob, sourceOf(bytes))
    const { newest } = await opened.metadata.eventBounds()
    const ours = registry({ mountsFrom: 'anywhere', by }).repository(to)
    assert.equal(await ours.mountBlob(blob, [], confirmed), true)
    const [event] = await eventsAfter(opened.metadata, newest)
    assert.equal(event?.action, 'mount')
    assert.ok(!JSON.stringify(event).includes(theirs))
  })

  it('take no blob of another size than was announced, wherever it is', async () => {
    const { bytes, blob } = randomBlob(100)
    const [from, to] = [freshRepository(), freshRepository()]
    const place = registry({ mountsFrom: 'anywhere' })
    await place.repository(from).putBlob(blob, sourceOf(bytes))
    const lie = { ...blob, size: 99 }
    await rejectsWith('size_mismatch', place.repository(from).hasBlob(lie))
    await rejectsWith('size_mismatch', place.repository(to).mountBlob(lie, [from]))
    assert.equal(await place.repository(to).hasBlob(blob), false)
    await rejectsWith('size_mismatch', place.repository(from).putBlob(lie, failing))
    const other = randomBlob(100)
    const uploading = async () => (await opened.metadata.getUsage(tenantOf(to))).uploadingBytes
    const before = await uploading()
    for (const [size, attempts] of [
      [99, 1],
      [101, 5],
    ] as const) {
      const source = watched(other.bytes)
      const error = await rejectsWith(
        'size_mismatch',
        place.repository(to).putBlob({ ...other.blob, size }, source.open),
      )
      // What is too long stays that; what ended too early may have broken off.
      assert.equal(source.offsets.length, attempts)
      assert.equal(await uploading(), before)
      assert.deepEqual([error.details.resource, error.details.name], ['blob', other.blob.digest])
      assert.equal(await opened.metadata.findTransfer(to, other.blob.digest), undefined)
    }
    await place.repository(to).putBlob(other.blob, sourceOf(other.bytes))
  })

  it('ask for a blob once, however many put it at once, and mount it for the others', async () => {
    const { bytes, blob } = randomBlob(10_000)
    const place = registry({ mountsFrom: 'anywhere' })
    const names = [freshRepository(), freshRepository(), freshRepository()]
    const source = watched(bytes)
    const kept: number[] = []
    await Promise.all(
      [...names, ...names].map(name =>
        place.repository(name).putBlob(blob, source.open, {
          ...confirmed,
          onStored: (stored, ofThem) => {
            if (stored === blob.size) kept.push(ofThem.kept)
          },
        }),
      ),
    )
    assert.deepEqual(source.offsets, [0])
    assert.deepEqual(
      kept.toSorted((a, b) => a - b),
      [0, ...Array<number>(5).fill(blob.size)],
    )
    for (const name of names) assert.equal(await place.repository(name).hasBlob(blob), true)
  })

  it('ask for it for each repository where nothing may cross', async () => {
    const { bytes, blob } = randomBlob(10_000)
    const place = registry()
    const source = watched(bytes)
    const names = [freshRepository(), freshRepository()]
    await Promise.all([...names, ...names].map(name => place.repository(name).putBlob(blob, source.open)))
    assert.deepEqual(source.offsets, [0, 0])
  })

  it('let nobody wait for another repository where nothing may cross', async () => {
    const { bytes, blob } = randomBlob(100)
    const place = registry()
    const end = new AbortController()
    const stalled = Promise.withResolvers<void>()
    const slow = place
      .repository(freshRepository())
      .putBlob(blob, async () => stallingAfter(bytes.subarray(0, 50), stalled.resolve), {
        signal: end.signal,
      })
    await stalled.promise
    await place.repository(freshRepository()).putBlob(blob, sourceOf(bytes))
    end.abort(new Error('gone'))
    await assert.rejects(slow)
  })

  it('go on with a source that another one has given up, from where that stopped', async () => {
    const { bytes, blob } = randomBlob(20_000)
    const name = freshRepository()
    const place = registry()
    const end = new AbortController()
    const reason = new Error('gone')
    const stalled = Promise.withResolvers<void>()
    const first = place
      .repository(name)
      .putBlob(blob, async () => stallingAfter(bytes.subarray(0, 5000), stalled.resolve), {
        signal: end.signal,
      })
    const source = watched(bytes)
    const second = place.repository(name).putBlob(blob, source.open)
    await stalled.promise
    end.abort(reason)
    await assert.rejects(first, (error: unknown) => error === reason)
    await second
    assert.deepEqual(source.offsets, [5000])
  })

  it('begin anew when the session has expired, or is of something else', async () => {
    const { bytes, blob } = randomBlob(20_000)
    const name = freshRepository()
    await giveUp(name, blob, bytes.subarray(0, 5000))
    opened.advance(testSettings.uploadTtlMs + 1)
    const source = watched(bytes)
    await registry().repository(name).putBlob(blob, source.open)
    assert.deepEqual(source.offsets, [0])

    const other = randomBlob(1000)
    await giveUp(name, { ...other.blob, size: 20_000 }, randomBytes(5000))
    const again = watched(other.bytes)
    await registry().repository(name).putBlob(other.blob, again.open)
    assert.deepEqual(again.offsets, [0])
  })

  it('begin anew, once, when what was kept was wrong, and say so when what comes then is, too', async () => {
    const { bytes, blob } = randomBlob(20_000)
    const name = freshRepository()
    await giveUp(name, blob, randomBytes(5000))
    const source = watched(bytes)
    await registry().repository(name).putBlob(blob, source.open)
    assert.deepEqual(source.offsets, [5000, 0])

    const other = randomBlob(20_000)
    await giveUp(name, other.blob, randomBytes(5000))
    const wrong = watched(randomBytes(20_000))
    const error = await rejectsWith(
      'digest_mismatch',
      registry().repository(name).putBlob(other.blob, wrong.open),
    )
    assert.deepEqual(wrong.offsets, [5000, 0])
    assert.equal(error.details.name, other.blob.digest)
    assert.equal(await opened.metadata.findTransfer(name, other.blob.digest), undefined)
  })

  it('find a blob that was committed by one who died right after', async () => {
    const { bytes, blob } = randomBlob(5000)
    const name = freshRepository()
    await registry().repository(name).putBlob(blob, sourceOf(bytes))
    const blobs = opened.blobs.repository(name)
    {
      await using writer = await blobs.create()
      await writer.write(Readable.from([bytes]))
      await writer.commit({ digest: blob.digest })
      await opened.metadata.noteTransfer(name, blob.digest, writer.id)
    }
    await registry().repository(name).putBlob(blob, failing)
    // And one that was unlinked since.
    await opened.metadata.unlinkBlob(name, blob.digest)
    const source = watched(bytes)
    await registry().repository(name).putBlob(blob, source.open)
    assert.deepEqual(source.offsets, [0])
  })

  it('wait for another process that stores it, and fail as busy when that one stands still', async () => {
    const { bytes, blob } = randomBlob(20_000)
    const name = freshRepository()
    const writer = await opened.replica.repository(name).create()
    await writer.write(Readable.from([bytes.subarray(0, 5000)]))
    await opened.metadata.noteTransfer(name, blob.digest, writer.id)
    const error = await rejectsWith('busy', registry().repository(name).putBlob(blob, failing))
    assert.equal(error.details.name, blob.digest)

    const patient = { ...times, waitMs: 60_000 }
    const waiting = registry({ times: patient }).repository(name).putBlob(blob, failing)
    await writer.write(Readable.from([bytes.subarray(5000)]))
    await writer.commit({ digest: blob.digest })
    await writer[Symbol.asyncDispose]()
    await waiting

    const end = new AbortController()
    const held = randomBlob(10)
    await using holder = await opened.replica.repository(name).create()
    await opened.metadata.noteTransfer(name, held.blob.digest, holder.id)
    const given = registry({ times: patient })
      .repository(name)
      .putBlob(held.blob, failing, { signal: end.signal })
    const reason = new Error('gone')
    setImmediate(() => end.abort(reason))
    await assert.rejects(given, (thrown: unknown) => thrown === reason)
  })

  it('ask a source that breaks off only so often, and not one that asks for too much patience', async () => {
    const { blob } = randomBlob(10)
    const name = freshRepository()
    let asked = 0
    const broken = (details: { retryAfterSeconds?: number }): OpenBlobFrom => {
      asked = 0
      return async () => {
        asked += 1
        throw new DomainError('unavailable', 'It is broken.', { resource: 'registry', ...details })
      }
    }
    await rejectsWith('unavailable', registry().repository(name).putBlob(blob, broken({})))
    assert.equal(asked, 5)
    await rejectsWith(
      'unavailable',
      registry()
        .repository(name)
        .putBlob(blob, broken({ retryAfterSeconds: 60 })),
    )
    assert.equal(asked, 1)
  })

  it('take no more than the tenant’s quota allows, and ask for nothing that it does not', async () => {
    const name = freshRepository()
    const tenant = parseTenantName(tenantOf(name))
    await opened.metadata.createTenant({ name: tenant, quotaBytes: 1 }).catch(() => undefined)
    const { bytesUsed } = { bytesUsed: (await opened.metadata.getUsage(tenant)).bytes }
    await opened.metadata.updateTenant(tenant, { quotaBytes: bytesUsed + 1000 })
    const quotas = new TenantQuotas({ records: opened.metadata })
    const metadata = { ...opened.metadata, putManifest: putWithinQuota(opened.metadata, quotas) }
    const place = registry({ blobs: new QuotaBlobStore(opened.blobs, quotas), metadata }).repository(name)
    const large = randomBlob(20_000)
    let taken = 0
    const counting: OpenBlobFrom = async (offset, options) => {
      const stream = await sourceOf(large.bytes)(offset, options)
      stream.on('data', (chunk: Buffer) => {
        taken += chunk.length
      })
      stream.pause()
      return stream
    }
    const error = await rejectsWith('denied', place.putBlob(large.blob, counting))
    assert.equal(error.details.resource, 'quota')
    assert.equal(taken, 0)
    assert.equal(await opened.metadata.findTransfer(name, large.blob.digest), undefined)
    const small = randomBlob(900)
    await place.putBlob(small.blob, sourceOf(small.bytes))
    const manifest = looseManifest('x'.repeat(200), 'v1')
    await rejectsWith('denied', place.putManifest(manifest, [parseTag('v1')]))
    await opened.metadata.updateTenant(tenant, { quotaBytes: null })
  })

  it('take manifests that are what they say, under tags that may be set', async () => {
    const name = freshRepository()
    const place = registry({ by }).repository(name)
    const absent = digestOf(randomBytes(8))
    const sparse = indexOf([absent], 'none')
    const { newest } = await opened.metadata.eventBounds()
    await place.putManifest(sparse, ['v1', 'v2'].map(parseTag))
    const events = await eventsAfter(opened.metadata, newest)
    assert.deepEqual(
      events.map(event => [event.kind, event.by?.userAgent]),
      [
        ['manifest', 'varve-mirror'],
        ['tag', 'varve-mirror'],
        ['tag', 'varve-mirror'],
      ],
    )
    await rejectsWith('digest_mismatch', place.putManifest({ ...sparse, digest: absent }, []))
    await rejectsWith('invalid', place.putManifest({ ...sparse, bytes: Buffer.from('{}') }, []))
    await rejectsWith(
      'missing_reference',
      registry({ requireReferences: 'all' }).repository(name).putManifest(sparse, []),
    )
    const image = imageManifest({ config: absent })
    await place.putManifest(image, [])
    await rejectsWith(
      'missing_reference',
      registry({ requireReferences: 'blobs' }).repository(freshRepository()).putManifest(image, []),
    )

    const tenant = tenantOf(name)
    await opened.metadata.createTenant({ name: tenant }).catch(() => undefined)
    const { id } = await opened.metadata.addTagRule({ tenant, repositories: name, tags: 'v*' })
    await rejectsWith('conflict', place.putManifest(image, [parseTag('v1')]))
    await rejectsWith('conflict', place.deleteTag(parseTag('v1')))
    await opened.metadata.removeTagRule(tenant, id)
    await place.deleteTag(parseTag('v1'))
    await rejectsWith('not_found', place.stat(parseReference('v1')))
    assert.equal((await place.stat(parseReference('v2'))).digest, sparse.digest)
  })

  it('tell all tags, referrers and repositories, however many', async () => {
    const name = freshRepository()
    const place = registry()
    const subject = digestOf(randomBytes(8))
    const tags = Array.from({ length: 1003 }, (_, index) => `t${index}`)
    await place.repository(name).putManifest(looseManifest('many'), tags.map(parseTag))
    assert.deepEqual(await Array.fromAsync(place.repository(name).tags()), tags.toSorted())
    const filler = 'x'.repeat(100_000)
    for (let index = 0; index < 15; index++)
      await place
        .repository(name)
        .putManifest(imageManifest({ subject, annotations: { index: `${index}`, filler } }), [])
    const found = await Array.fromAsync(place.repository(name).referrers(subject))
    assert.equal(new Set(found.map(({ digest }) => digest)).size, 15)
    assert.ok((await Array.fromAsync(place.repositories())).includes(name))
    assert.equal(place.repository(name).label, name)
  })

  async function giveUp(
    name: ReturnType<typeof freshRepository>,
    blob: BlobInfo,
    bytes: Buffer,
  ): Promise<void> {
    const end = new AbortController()
    const gone = () => end.abort(new Error('gone'))
    const put = registry()
      .repository(name)
      .putBlob(blob, async () => stallingAfter(bytes, gone), { signal: end.signal })
    await assert.rejects(put)
    assert.ok(await opened.metadata.findTransfer(name, blob.digest))
  }
})

/** Gives these bytes, and then neither more nor its end. @param whenTaken called when they have been taken. */
function stallingAfter(bytes: Buffer, whenTaken: () => void): Readable {
  let isGiven = false
  return new Readable({
    highWaterMark: 1,
    read() {
      if (!isGiven) this.push(Buffer.from(bytes))
      else setTimeout(whenTaken, 50)
      isGiven = true
    },
  })
}

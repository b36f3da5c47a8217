import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { type DomainError, isDomainError } from '../../../src/errors.ts'
import { QuotaBlobStore } from '../../../src/registry/limits/quota-blob-store.ts'
import { putWithinQuota } from '../../../src/registry/limits/quota-manifests.ts'
import { TenantQuotas } from '../../../src/registry/limits/tenant-quotas.ts'
import { parseTenantName, type TenantName } from '../../../src/storage/accounts/names.ts'
import type { BlobStore } from '../../../src/storage/blobs/blob-store.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { parseRepositoryName, type RepositoryName } from '../../../src/storage/reference.ts'
import { blobStoreContract } from '../../contract/blob-store.ts'
import { TestBlobStore, testSettings } from '../../support/blob-store.ts'
import { freshRepository, looseManifest } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'

blobStoreContract('QuotaBlobStore within a large quota', async () => {
  const opened = await TestBlobStore.open('memory')
  const { metadata } = opened
  // That of the repositories of the contract.
  await metadata.createTenant({ name: parseTenantName('test'), quotaBytes: 1e9, quotaRepositories: 1e6 })
  const limited = (blobs: BlobStore) => new QuotaBlobStore(blobs, new TenantQuotas({ records: metadata }))
  return {
    blobs: limited(opened.blobs),
    replica: limited(opened.replica),
    partSize: testSettings.partSizeBytes,
    leaseMs: testSettings.leaseMs,
    uploadTtlMs: testSettings.uploadTtlMs,
    advance: ms => opened.advance(ms),
    sweep: () => opened.sweep(),
    close: () => opened.close(),
  }
})

describe('A quota', () => {
  let opened: TestBlobStore
  let limitedCount = 0
  const clock = { time: 0 }
  before(async () => {
    opened = await TestBlobStore.open('memory')
  })
  after(() => opened.close())

  const processOf = (blobs: BlobStore) => {
    const quotas = new TenantQuotas({
      records: opened.metadata,
      now: () => clock.time,
      onLimited: limit => {
        assert.equal(limit, 'quota')
        limitedCount += 1
      },
    })
    return {
      blobs: new QuotaBlobStore(blobs, quotas),
      putManifest: putWithinQuota(opened.metadata, quotas),
    }
  }
  type Process = ReturnType<typeof processOf>

  async function limited(quota: {
    quotaBytes?: number
    quotaRepositories?: number
  }): Promise<{ tenant: TenantName; at: (rest: string) => RepositoryName; one: Process; other: Process }> {
    const tenant = parseTenantName(`t${randomUUID()}`)
    await opened.metadata.createTenant({ name: tenant, ...quota })
    const at = (rest: string) => parseRepositoryName(`${tenant}/${rest}`)
    return { tenant, at, one: processOf(opened.blobs), other: processOf(opened.replica) }
  }

  async function push(
    { blobs }: Process,
    repository: RepositoryName,
    bytes: Buffer,
    { isAnnounced = true, chunk = 100 } = {},
  ): Promise<void> {
    await using writer = await blobs.repository(repository).create()
    const pieces: Buffer[] = []
    for (let start = 0; start < bytes.length; start += chunk)
      pieces.push(bytes.subarray(start, start + chunk))
    await writer.write(Readable.from(pieces), isAnnounced ? { length: bytes.length } : {})
    await writer.commit({ digest: digestOf(bytes) })
  }

  async function refused(attempt: Promise<unknown>): Promise<DomainError> {
    const error = await rejectsWith('denied', attempt)
    assert.equal(error.details.resource, 'quota')
    return error
  }

  it('takes what there is room for, and says what is missing', async () => {
    const { tenant, at, one } = await limited({ quotaBytes: 10 * 1024 })
    await push(one, at('a'), randomBytes(10_000))
    const error = await refused(push(one, at('a'), randomBytes(512)))
    assert.equal(
      error.message,
      `The tenant ${tenant} has used 9.8 KiB of its quota of 10 KiB; this push needs 512 B more. Delete images or ask for a larger quota.`,
    )
    assert.equal(error.details.name, tenant)
    assert.equal(error.details.rule, `quota of the tenant ${tenant}`)
    await push(one, at('a'), randomBytes(240))
    await refused(push(one, at('a'), randomBytes(1)))
  })

  it('keeps nobody from pushing a damaged blob again, and lets nothing else in for it', async () => {
    const { at, one, tenant } = await limited({ quotaBytes: 1000 })
    const bytes = randomBytes(900)
    await push(one, at('a'), bytes)
    const blob = await opened.metadata.findBlob(at('a'), digestOf(bytes))
    await refused(push(one, at('a'), randomBytes(500)))
    await opened.metadata.quarantineBlob({ ...blob, kind: 'corrupt', detail: 'other bytes' })
    clock.time += 2001
    await refused(push(one, at('a'), randomBytes(500)))
    await refused(push(one, at('a'), randomBytes(1001)))
    for (const isAnnounced of [true, false]) {
      await push(one, at('b'), bytes, { isAnnounced })
      assert.equal((await opened.metadata.findBlob(at('a'), blob.digest)).size, 900)
      assert.equal((await opened.metadata.getUsage(tenant)).bytes, 900)
      const healed = await opened.metadata.findBlob(at('a'), blob.digest)
      if (isAnnounced)
        await opened.metadata.quarantineBlob({ ...healed, kind: 'corrupt', detail: 'other bytes' })
    }
    clock.time += 2001
    await refused(push(one, at('a'), randomBytes(500)))
  })

  it('refuses an announced body before its first byte, and drops the session', async () => {
    const { at, one, tenant } = await limited({ quotaBytes: 1000 })
    const blobs = one.blobs.repository(at('a'))
    await using writer = await blobs.create()
    assert.equal(await writer.write(Readable.from([randomBytes(500)]), { length: 500 }), 500)
    const unread = new Readable({ read: () => assert.fail('it was read') })
    await refused(writer.write(unread, { length: 501 }))
    await rejectsWith('not_found', blobs.status(writer.id))
    assert.deepEqual(await opened.metadata.getUsage(tenant), { bytes: 0, uploadingBytes: 0, repositories: 0 })
  })

  it('stops a body of unknown length where there is no room any more', async () => {
    const { at, one, tenant } = await limited({ quotaBytes: 5000 })
    let read = 0
    const endless = Readable.from(
      (async function* () {
        for (; read < 1e6; read += 100) yield randomBytes(100)
      })(),
    )
    const blobs = one.blobs.repository(at('a'))
    await using writer = await blobs.create()
    const error = await refused(writer.write(endless))
    assert.match(error.message, /this push is longer than what is left\. /)
    // One part in memory, one on its way, and what streams read ahead.
    assert.ok(read < 5000 + 3 * testSettings.partSizeBytes + 100 * 100, String(read))
    await rejectsWith('not_found', blobs.status(writer.id))
    assert.equal((await opened.metadata.getUsage(tenant)).uploadingBytes, 0)
    endless.destroy()
  })

  it('counts what is being received, so that uploads at once do not exceed it together', async () => {
    const { at, one } = await limited({ quotaBytes: 10_000 })
    const outcomes = await Promise.all(
      Array.from({ length: 16 }, async (_, index) =>
        push(one, at(`r${index}`), randomBytes(1000)).then(
          () => 'ok',
          (error: unknown) => (isDomainError(error, 'denied') ? 'denied' : assert.fail(String(error))),
        ),
      ),
    )
    assert.equal(outcomes.filter(outcome => outcome === 'ok').length, 10)
  })

  it('is kept by several processes, but for what they commit at the same moment', async () => {
    const { at, one, other, tenant } = await limited({ quotaBytes: 10_000 })
    for (let round = 0; round < 12; round++) {
      const process = round % 2 === 0 ? one : other
      await push(process, at('a'), randomBytes(1000), { isAnnounced: round % 3 === 0 }).catch(
        (error: unknown) => assert.ok(isDomainError(error, 'denied')),
      )
      clock.time += 2001
    }
    assert.equal((await opened.metadata.getUsage(tenant)).bytes, 10_000)
  })

  it('refuses a session at its commit when others were first', async () => {
    const { at, one, other, tenant } = await limited({ quotaBytes: 1000 })
    const bytes = [randomBytes(800), randomBytes(800)]
    const writers = await Promise.all([one, other].map(each => each.blobs.repository(at('a')).create()))
    const [first, second] = writers
    const [early = Buffer.alloc(0), late = Buffer.alloc(0)] = bytes
    assert.ok(first && second)
    // Neither process knows of the other's.
    await first.write(Readable.from([early]), { length: 800 })
    await second.write(Readable.from([late]), { length: 800 })
    await first.commit({ digest: digestOf(early) })
    clock.time += 2001
    await refused(second.commit({ digest: digestOf(late) }))
    for (const writer of writers) await writer[Symbol.asyncDispose]()
    assert.deepEqual(await opened.metadata.getUsage(tenant), {
      bytes: 800,
      uploadingBytes: 0,
      repositories: 1,
    })
    clock.time += 2001
    await refused(push(one, at('a'), randomBytes(300)))
  })

  it('costs nothing for what the tenant has already', async () => {
    const { at, one } = await limited({ quotaBytes: 1000 })
    const bytes = randomBytes(900)
    await push(one, at('a'), bytes)
    await one.blobs.repository(at('b')).link(digestOf(bytes), at('a'))
    await one.blobs.repository(at('c')).link(digestOf(bytes), undefined)
  })

  it('is asked before a mount', async () => {
    const { at, one } = await limited({ quotaBytes: 1000 })
    const bytes = randomBytes(600)
    const library = freshRepository()
    await push(one, library, bytes)
    const more = randomBytes(600)
    await push(one, library, more)
    const blobs = one.blobs.repository(at('a'))
    await rejectsWith('not_found', blobs.link(digestOf(Buffer.from('absent')), library))
    await blobs.link(digestOf(bytes), library)
    await refused(blobs.link(digestOf(more), library))
    await rejectsWith('not_found', blobs.stat(digestOf(more)))
  })

  it('has room again at once when something was deleted', async () => {
    const { at, one } = await limited({ quotaBytes: 1000 })
    const bytes = randomBytes(900)
    await push(one, at('a'), bytes)
    await refused(push(one, at('a'), randomBytes(900)))
    await opened.metadata.unlinkBlob(at('a'), digestOf(bytes))
    await push(one, at('a'), randomBytes(900))
  })

  it('counts manifests, but not those that are there', async () => {
    const manifest = looseManifest('counted', 'x')
    const { at, one } = await limited({ quotaBytes: manifest.size })
    await one.putManifest(at('a'), manifest)
    await one.putManifest(at('a'), looseManifest('counted', 'y'))
    await refused(one.putManifest(at('b'), manifest))
    await refused(one.putManifest(at('a'), looseManifest('another', 'x')))
  })

  it('of repositories refuses the next one, and nothing in those that are there', async () => {
    const { at, one, tenant } = await limited({ quotaRepositories: 2 })
    for (const rest of ['a', 'b', 'a']) await push(one, at(rest), randomBytes(10))
    const error = await refused(one.blobs.repository(at('c')).create())
    assert.equal(
      error.message,
      `The tenant ${tenant} has as many repositories as its quota allows, which is 2. Push to one of them or ask for a larger quota.`,
    )
    const bytes = randomBytes(20)
    await push(one, at('b'), bytes)
    await refused(one.blobs.repository(at('c')).link(digestOf(bytes), at('b')))
    await refused(one.putManifest(at('c'), looseManifest('x', 'x')))
    await one.putManifest(at('a'), looseManifest('x', 'x'))
    clock.time += 2001
    await refused(one.blobs.repository(at('c')).create())
    assert.equal((await opened.metadata.getUsage(tenant)).repositories, 2)
  })

  it('of repositories holds for those that come at once', async () => {
    const { at, one, tenant } = await limited({ quotaRepositories: 5 })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => push(one, at(`r${index}`), randomBytes(10))),
    )
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 5)
    assert.equal((await opened.metadata.getUsage(tenant)).repositories, 5)
  })

  it('that is not there asks nothing of the database but once in a while', async () => {
    let asked = 0
    const records = {
      getTenant: (...args: Parameters<typeof opened.metadata.getTenant>) => {
        asked += 1
        return opened.metadata.getTenant(...args)
      },
      getUsage: () => assert.fail('usage was asked for'),
      tenantHasBlob: () => assert.fail('a blob was asked for'),
      damagedBytesOf: () => assert.fail('damage was asked for'),
      hasRepository: () => assert.fail('a repository was asked for'),
    }
    const quotas = new TenantQuotas({ records, now: () => clock.time })
    const blobs = new QuotaBlobStore(opened.blobs, quotas)
    const repository = freshRepository()
    for (let round = 0; round < 10; round++) {
      const bytes = randomBytes(10)
      await using writer = await blobs.repository(repository).create()
      await writer.write(Readable.from([bytes]))
      await writer.commit({ digest: digestOf(bytes) })
    }
    assert.equal(asked, 1)
    clock.time += 2001
    await quotas.of(repository)
    assert.equal(asked, 2)
  })

  it('counts each refusal', () => {
    assert.ok(limitedCount > 10)
  })
})

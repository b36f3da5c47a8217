import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import { newObjectKey, type ObjectKey } from '../../../src/storage/objects/keys.ts'
import { TestBlobStore, testSettings } from '../../support/blob-store.ts'
import { type Around, interceptMetadata, interceptObjects } from '../../support/intercepted.ts'
import { commitText, freshRepository, newUpload } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const { partSizeBytes, uploadTtlMs, leaseMs } = testSettings
const twoParts = 2 * partSizeBytes + 1

describe('The sweep', () => {
  let opened: TestBlobStore | undefined
  afterEach(() => opened?.close())

  it('takes all that has expired, however much that is', async () => {
    opened = await TestBlobStore.open('memory')
    const now = Date.UTC(2026, 0, 1)
    const repository = freshRepository()
    const count = 2100
    for (let index = 0; index < count; index++)
      await opened.metadata.createUpload(newUpload(repository, now - 2 * uploadTtlMs))
    const { sessions, failures } = await opened.blobs.sweepUploads(new Date(now))
    assert.deepEqual([sessions, failures], [count, []])
  })

  it('leaves a blob whole that a replica whose clock is behind has made of a session meanwhile', async () => {
    const bytes = randomBytes(100)
    const repository = freshRepository()
    let commit: (() => Promise<unknown>) | undefined
    opened = await TestBlobStore.open('memory', ({ objects, metadata }) => ({
      objects,
      metadata: interceptMetadata(metadata, async (method, call) => {
        const answer = await call()
        if (method === 'expiredUploads') await commit?.()
        return answer
      }),
    }))
    const { replica, blobs } = opened
    const writer = await replica.repository(repository).create()
    await writer.write(Readable.from([bytes]))
    await writer[Symbol.asyncDispose]()
    commit = async () => {
      commit = undefined
      await using again = await replica.repository(repository).resume(writer.id)
      await again.commit({ digest: digestOf(bytes) })
    }
    // The sweep's clock is ahead of the one that the replica goes by.
    const { failures } = await blobs.sweepUploads(new Date(Date.now() + 10 * uploadTtlMs))
    assert.deepEqual([commit, failures], [undefined, []])
    const { stream } = await blobs.repository(repository).open(digestOf(bytes))
    assert.deepEqual(await buffer(stream), bytes)
  })

  it('leaves only those objects that cannot be deleted, and tells why', async () => {
    const stuck = new Set<ObjectKey>()
    opened = await TestBlobStore.open('memory', ({ objects, metadata }) => ({
      objects: {
        ...interceptObjects(objects, (_method, call) => call()),
        delete: async (keys, options) => {
          const key = keys.find(key => stuck.has(key))
          if (key !== undefined)
            throw new DomainError('unavailable', `${key} is stuck.`, { resource: 'object', name: key })
          await objects.delete(keys, options)
        },
      },
      metadata,
    }))
    const now = Date.UTC(2026, 0, 1)
    const repository = freshRepository()
    for (let index = 0; index < 10; index++) await commitText(opened.metadata, repository, 'same', now)
    const keys = await opened.metadata.listGarbage(100)
    assert.equal(keys.length, 9)
    for (const key of [keys[0], keys[4]]) if (key !== undefined) stuck.add(key)
    const { objects, failures } = await opened.blobs.sweepUploads(new Date(now))
    assert.equal(objects, 7)
    assert.deepEqual(
      failures.map(({ details }) => details.name),
      [...stuck],
    )
    assert.deepEqual(await opened.metadata.listGarbage(100), [...stuck])
    stuck.clear()
    assert.deepEqual(await opened.blobs.sweepUploads(new Date(now)), {
      sessions: 0,
      objects: 2,
      unfinished: 0,
      failures: [],
    })
  })

  it('gives up soon when the store does not answer at all', async () => {
    let isDown = false
    let calls = 0
    const around: Around = async (method, call) => {
      if (!isDown) return call()
      calls += 1
      throw new DomainError('unavailable', `${method} does not answer.`, { resource: 'object' })
    }
    opened = await TestBlobStore.open('memory', ({ objects, metadata }) => ({
      objects: interceptObjects(objects, around),
      metadata,
    }))
    for (let index = 0; index < 200; index++)
      await commitText(opened.metadata, freshRepository(), 'same', Date.UTC(2026, 0, 1))
    isDown = true
    const { failures } = await opened.blobs.sweepUploads(new Date(Date.UTC(2026, 0, 1)))
    assert.ok(failures.length > 0 && calls < 30, `${calls} calls`)
    isDown = false
    assert.equal((await opened.sweep()).objects, 0)
    assert.deepEqual(await opened.metadata.listGarbage(10), [])
  })

  it('frees a multipart upload that a crash has left without its session', async () => {
    opened = await TestBlobStore.open('memory')
    await opened.objects.createMultipart(newObjectKey(), { partSize: partSizeBytes })
    await using writer = await opened.blobs.repository(freshRepository()).create()
    await writer.write(Readable.from([randomBytes(twoParts)]))
    assert.equal((await opened.sweep()).unfinished, 2)
    opened.advance(uploadTtlMs - 1)
    await writer[Symbol.asyncDispose]()
    await using next = await opened.blobs.repository(freshRepository()).create()
    await next.write(Readable.from([randomBytes(twoParts)]))
    opened.advance(leaseMs)
    assert.equal((await opened.sweep()).unfinished, 1, 'what is younger than a session stays')
  })
})

describe('The sweep of a directory', () => {
  it('frees old staged files that no session names, and nothing else', async () => {
    await using directory = await temporaryDirectory()
    const objects = await FilesystemObjectStore.open(directory.path)
    await using metadata = await openSqliteMetadata(join(directory.path, 'varve.db'))
    const blobs = new ObjectBlobStore({ objects, metadata, settings: testSettings })
    const repository = blobs.repository(freshRepository())
    const staging = join(directory.path, 'staging')

    const bytes = randomBytes(twoParts)
    const writer = await repository.create()
    await writer.write(Readable.from([bytes]))
    await writer[Symbol.asyncDispose]()
    const [named = ''] = await readdir(staging)
    const fresh = '1'.repeat(32)
    const old = '2'.repeat(32)
    for (const name of [fresh, old, 'notes']) await writeFile(join(staging, name), 'left behind')
    const past = new Date(Date.now() - 2 * uploadTtlMs)
    for (const name of [named, old, 'notes']) await utimes(join(staging, name), past, past)

    const report = await blobs.sweepUploads(new Date())
    assert.deepEqual([report.unfinished, report.failures], [1, []])
    assert.deepEqual((await readdir(staging)).sort(), [fresh, named, 'notes'].sort())
    await using resumed = await repository.resume(writer.id)
    await resumed.commit({ digest: digestOf(bytes) })
    await rejectsWith('not_found', objects.resumeMultipart(newObjectKey(), named, { partSize: 10 }))
  })
})

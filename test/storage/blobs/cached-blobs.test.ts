import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { RepositoryBlobs } from '../../../src/storage/blobs/blob-store.ts'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import type { ObjectStore } from '../../../src/storage/objects/object-store.ts'
import { TestBlobStore } from '../../support/blob-store.ts'
import { type CountingObjectStore, countingObjectStore } from '../../support/counting-object-store.ts'
import { freshRepository } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'

describe('Small blobs in memory', () => {
  const repository = freshRepository()
  let opened: TestBlobStore
  let counting: CountingObjectStore
  let here: RepositoryBlobs
  let there: RepositoryBlobs
  /** What the store makes of the bytes of an object. */
  let damage: ((bytes: Buffer) => Buffer) | undefined
  beforeEach(async () => {
    damage = undefined
    opened = await TestBlobStore.open(
      'memory',
      ({ objects, metadata }) => {
        counting = countingObjectStore(damaging(objects, bytes => damage?.(bytes) ?? bytes))
        return { objects: counting.store, metadata }
      },
      1024 * 1024,
    )
    here = opened.blobs.repository(repository)
    there = opened.replica.repository(repository)
  })
  afterEach(() => opened.close())

  async function push(bytes: Buffer): Promise<Digest> {
    await using writer = await here.create()
    await writer.write(Readable.from([bytes]))
    const { digest } = await writer.commit({ digest: digestOf(bytes) })
    counting.take()
    return digest
  }

  const read = async (blobs: RepositoryBlobs, digest: Digest) => buffer((await blobs.open(digest)).stream)

  it('cost the store one call', async () => {
    for (const size of [0, 1, 5000, 64 * 1024]) {
      const bytes = randomBytes(size)
      const digest = await push(bytes)
      for (let turn = 0; turn < 3; turn += 1) assert.ok((await read(here, digest)).equals(bytes))
      assert.deepEqual(counting.take(), { get: 1 }, `${size} bytes`)
    }
  })

  it('are no larger than 64 KiB', async () => {
    const digest = await push(randomBytes(64 * 1024 + 1))
    await read(here, digest)
    await read(here, digest)
    assert.deepEqual(counting.take(), { get: 2 })
  })

  it('are gone when they are deleted, here and there, whoever deleted them', async () => {
    for (const blobs of [here, there]) {
      const bytes = randomBytes(100)
      const digest = await push(bytes)
      for (const one of [here, there]) await read(one, digest)
      await opened.metadata.unlinkBlob(repository, digest)
      for (const one of [here, there]) {
        await rejectsWith('not_found', one.open(digest))
        await rejectsWith('not_found', one.open(digest, { range: { first: 0, last: 3 } }))
        await rejectsWith('not_found', one.stat(digest))
      }
      await using writer = await blobs.create()
      await writer.write(Readable.from([bytes]))
      await writer.commit({ digest })
      for (const one of [here, there]) assert.deepEqual(await read(one, digest), bytes)
    }
  })

  it('are nobody else’s: another repository does not have them', async () => {
    const digest = await push(randomBytes(100))
    await read(here, digest)
    await rejectsWith('not_found', opened.blobs.repository(freshRepository()).open(digest))
  })

  it('are read in ranges, of which the first brings the whole of them', async () => {
    const bytes = randomBytes(3000)
    const digest = await push(bytes)
    const part = async (first: number, last: number) =>
      buffer((await here.open(digest, { range: { first, last } })).stream)
    assert.deepEqual(await part(10, 19), bytes.subarray(10, 20))
    assert.deepEqual(await part(2990, 9999), bytes.subarray(2990))
    assert.deepEqual(await part(0, 0), bytes.subarray(0, 1))
    await rejectsWith('out_of_range', part(3000, 3001))
    assert.deepEqual(await read(here, digest), bytes)
    assert.deepEqual(counting.take(), { get: 1 })
  })

  for (const [what, change] of [
    ['one byte', (bytes: Buffer) => bytes.fill((bytes[0] ?? 0) ^ 1, 0, 1)],
    ['too few', (bytes: Buffer) => bytes.subarray(1)],
    ['too many', (bytes: Buffer) => Buffer.concat([bytes, Buffer.of(1)])],
  ] as const)
    it(`never come from a store that gives wrong bytes (${what}), not even in a range`, async () => {
      const bytes = randomBytes(3000)
      const digest = await push(bytes)
      damage = change
      await rejectsWith('unavailable', here.open(digest))
      await rejectsWith('unavailable', here.open(digest, { range: { first: 100, last: 200 } }))
      damage = undefined
      assert.deepEqual(await read(here, digest), bytes)
      damage = change
      assert.deepEqual(await read(here, digest), bytes)
    })

  it('stay what they are, whatever their readers do', async () => {
    const bytes = randomBytes(3000)
    const digest = await push(bytes)
    const part = { range: { first: 0, last: 99 } }
    for (const options of [{}, part, {}]) {
      const { stream } = await here.open(digest, options)
      for await (const chunk of stream) chunk.fill(0)
    }
    assert.deepEqual(await read(here, digest), bytes)
  })

  it('are not kept of a read that was broken off', async () => {
    const digest = await push(randomBytes(100))
    const reason = new Error('no longer wanted')
    const leaving = new AbortController()
    damage = bytes => {
      leaving.abort(reason)
      return bytes
    }
    await assert.rejects(here.open(digest, { signal: leaving.signal }), reason)
    damage = undefined
    await read(here, digest)
    assert.deepEqual(counting.take(), { get: 2 })
  })
})

/** The same store, whose objects are given to `change` whenever they are read. */
function damaging(objects: ObjectStore, change: (bytes: Buffer) => Buffer): ObjectStore {
  return new Proxy(objects, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (name !== 'get') return typeof value === 'function' ? value.bind(target) : value
      return async (...args: Parameters<ObjectStore['get']>) => {
        const { stream, ...info } = await target.get(...args)
        const bytes = change(Buffer.from(await buffer(stream)))
        args[1]?.signal?.throwIfAborted()
        return { ...info, stream: Readable.from([bytes]) }
      }
    },
  })
}

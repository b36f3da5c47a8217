import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { RepositoryBlobs } from '../../../src/storage/blobs/blob-store.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import type { StoredBlob } from '../../../src/storage/metadata/blob-records.ts'
import type { ObjectStore } from '../../../src/storage/objects/object-store.ts'
import { TestBlobStore, testSettings } from '../../support/blob-store.ts'
import { freshRepository } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'

const { partSizeBytes } = testSettings
const chunkBytes = 1000

describe('An object store that gives wrong bytes', () => {
  let opened: TestBlobStore
  let blobs: RepositoryBlobs
  /** What becomes of the chunks of the next object that is read, and of those after it. */
  let damage: ((chunks: Buffer[]) => Buffer[]) | undefined
  beforeEach(async () => {
    opened = await TestBlobStore.open('memory')
    damage = undefined
    const { objects: inner, metadata } = opened
    const objects: ObjectStore = new Proxy(inner, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (name !== 'get') return typeof value === 'function' ? value.bind(target) : value
        return async (...args: Parameters<ObjectStore['get']>) => {
          const { stream, ...info } = await inner.get(...args)
          const chunks = inChunks(await buffer(stream))
          return { ...info, stream: Readable.from(oneByOne(damage?.(chunks) ?? chunks)) }
        }
      },
    })
    const settings = { ...testSettings, verifyReads: true }
    blobs = new ObjectBlobStore({ objects, metadata, settings }).repository(freshRepository())
  })
  afterEach(() => opened.close())

  async function push(bytes: Buffer): Promise<Digest> {
    await using writer = await blobs.create()
    await writer.write(Readable.from([bytes]))
    return (await writer.commit({ digest: digestOf(bytes) })).digest
  }

  const flip = (at: number) => (chunks: Buffer[]) => {
    const bytes = Buffer.concat(chunks)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    return inChunks(bytes)
  }

  for (const [where, at] of [
    ['first', 0],
    ['a middle', 1500],
    ['the last', 2999],
  ] as const)
    it(`in ${where} place of a blob never gives its last byte`, async () => {
      const digest = await push(randomBytes(3000))
      damage = flip(at)
      let received = 0
      const read = async () => {
        const { stream } = await blobs.open(digest)
        for await (const chunk of stream) received += chunk.length
      }
      const error = await rejectsWith('unavailable', read())
      assert.match(error.message, /does not give the bytes of the blob sha256:/)
      assert.ok(received < 3000)
      damage = undefined
      assert.equal((await buffer((await blobs.open(digest)).stream)).length, 3000)
    })

  for (const [what, change] of [
    ['one byte', flip(3)],
    ['none', (): Buffer[] => []],
    ['too many', (chunks: Buffer[]) => [...chunks, Buffer.alloc(1)]],
  ] as const)
    it(`in a blob of one chunk (${what}) fails`, async () => {
      const bytes = randomBytes(10)
      const digest = await push(bytes)
      damage = change
      const read = async () => {
        const parts: Buffer[] = []
        for await (const part of (await blobs.open(digest)).stream) parts.push(part)
      }
      await rejectsWith('unavailable', read())
    })

  it('is not noticed in a range', async () => {
    const bytes = randomBytes(3000)
    const digest = await push(bytes)
    const range = { first: 1000, last: 1999 }
    assert.deepEqual(await buffer((await blobs.open(digest, { range })).stream), bytes.subarray(1000, 2000))
    damage = flip(0)
    assert.notDeepEqual(
      await buffer((await blobs.open(digest, { range })).stream),
      bytes.subarray(1000, 2000),
    )
  })

  it('costs no upload that it is asked to continue, nor gets into it', async () => {
    const bytes = randomBytes(3 * partSizeBytes)
    const digest = digestOf(bytes)
    const first = await blobs.create()
    await first.write(Readable.from([bytes.subarray(0, 1500)]), { at: 0 })
    await first[Symbol.asyncDispose]()
    damage = flip(7)
    const second = await blobs.resume(first.id)
    await rejectsWith('unavailable', second.write(Readable.from([bytes.subarray(1500)]), { at: 1500 }))
    await second[Symbol.asyncDispose]()
    damage = undefined
    await using third = await blobs.resume(first.id)
    assert.equal(third.offset, 1500)
    await third.write(Readable.from([bytes.subarray(1500)]), { at: 1500 })
    await third.commit({ digest })
    assert.deepEqual(await buffer((await blobs.open(digest)).stream), bytes)
  })

  it('costs no upload whose digest has to be read back', async () => {
    const bytes = randomBytes(3000)
    await using writer = await blobs.create({ algorithm: 'sha256' })
    await writer.write(Readable.from([bytes]))
    damage = chunks => {
      const isWhole = chunks.length === 3
      if (isWhole) damage = undefined
      return isWhole ? flip(3)(chunks) : chunks
    }
    const digest = digestOf(bytes, 'sha512')
    assert.equal((await writer.commit({ digest })).digest, digest)
    assert.equal(damage, undefined)
  })

  it('twice, and not the same, is not the mistake of whoever has uploaded them', async () => {
    const bytes = randomBytes(3000)
    await using writer = await blobs.create({ algorithm: 'sha256' })
    await writer.write(Readable.from([bytes]))
    let reads = 0
    damage = chunks => (chunks.length === 3 ? flip(reads++)(chunks) : chunks)
    const digest = digestOf(bytes, 'sha512')
    await rejectsWith('unavailable', writer.commit({ digest }))
    assert.equal(reads, 2)
    damage = undefined
    assert.equal((await writer.commit({ digest })).digest, digest)
  })
})

describe('An object store that has lost bytes', () => {
  const repository = freshRepository()
  let opened: TestBlobStore
  let blobs: RepositoryBlobs
  let suspects: Digest[]
  beforeEach(async () => {
    opened = await TestBlobStore.open('memory')
    suspects = []
    const { objects, metadata } = opened
    const onDamaged = ({ digest }: StoredBlob): number => suspects.push(digest)
    blobs = new ObjectBlobStore({ objects, metadata, settings: testSettings, onDamaged }).repository(
      repository,
    )
  })
  afterEach(() => opened.close())

  async function push(bytes: Buffer): Promise<StoredBlob> {
    await using writer = await blobs.create()
    await writer.write(Readable.from([bytes]))
    const { digest } = await writer.commit({ digest: digestOf(bytes) })
    return await opened.metadata.findBlob(repository, digest)
  }

  const keepOnly = async ({ objectKey }: StoredBlob, bytes: Buffer): Promise<void> => {
    await opened.objects.delete([objectKey])
    if (bytes.length > 0) await opened.objects.put(objectKey, bytes)
  }

  for (const left of [0, 100])
    it(`drops none that are pushed again in favour of ${left} that are left, and takes them next time`, async () => {
      const bytes = randomBytes(3 * partSizeBytes)
      const blob = await push(bytes)
      await keepOnly(blob, bytes.subarray(0, left))
      const error = await rejectsWith('unavailable', push(bytes))
      assert.match(error.message, /push it again in a moment/)
      assert.deepEqual(suspects, [blob.digest])
      assert.equal((await Array.fromAsync(opened.objects.list(''))).length, left === 0 ? 0 : 1)
      await opened.metadata.quarantineBlob({ ...blob, kind: 'missing', detail: 'lost' })
      await push(bytes)
      assert.deepEqual(await buffer((await blobs.open(blob.digest)).stream), bytes)
    })

  it('says so for a range beyond what is left, and nothing of the range', async () => {
    const bytes = randomBytes(3000)
    const blob = await push(bytes)
    await keepOnly(blob, bytes.subarray(0, 1000))
    const error = await rejectsWith(
      'unavailable',
      blobs.open(blob.digest, { range: { first: 2000, last: 2999 } }),
    )
    assert.match(error.message, /does not have the bytes of the blob sha256:/)
    assert.deepEqual(suspects, [blob.digest])
  })
})

/** As from a network: not all at once. */
async function* oneByOne(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) {
    await setImmediate()
    yield chunk
  }
}

function inChunks(bytes: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, index) =>
    Buffer.from(bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes)),
  )
}

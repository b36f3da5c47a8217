import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { parseAccountName } from '../../src/storage/accounts/names.ts'
import type { BlobStore, RepositoryBlobs } from '../../src/storage/blobs/blob-store.ts'
import { newUploadId } from '../../src/storage/blobs/upload-id.ts'
import { type Digest, type DigestAlgorithm, digestOf } from '../../src/storage/digest.ts'
import { freshRepository } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'

export interface OpenedBlobStore {
  readonly blobs: BlobStore
  /** Another process's view of the same blobs. */
  readonly replica: BlobStore
  /** Bytes of a part. */
  readonly partSize: number
  /** Passes time, in milliseconds. */
  advance(ms: number): void
  /** How long a silent writer keeps others out, and a session lives, in milliseconds. */
  readonly leaseMs: number
  readonly uploadTtlMs: number
  /** Deletes what has expired, then answers how many objects and unfinished multipart uploads there are. */
  sweep(): Promise<{ objects: number; unfinished: number }>
  close(): Promise<void>
}

/** The executable half of {@link BlobStore}. */
export function blobStoreContract(name: string, open: () => Promise<OpenedBlobStore>): void {
  describe(`${name} as a BlobStore`, () => {
    let opened: OpenedBlobStore
    let partSize: number
    /** What has been pushed, to know at the end which objects may be there. */
    const pushed = new Set<Digest>()
    before(async () => {
      opened = await open()
      partSize = opened.partSize
    })
    after(async () => {
      try {
        opened.advance(opened.uploadTtlMs + opened.leaseMs + 1)
        assert.deepEqual(await opened.sweep(), { objects: pushed.size, unfinished: 0 })
      } finally {
        await opened.close()
      }
    })

    function fresh(): { here: RepositoryBlobs; there: RepositoryBlobs } {
      const repository = freshRepository()
      return { here: opened.blobs.repository(repository), there: opened.replica.repository(repository) }
    }

    async function push(
      blobs: RepositoryBlobs,
      bytes: Buffer,
      algorithm: DigestAlgorithm = 'sha256',
    ): Promise<Digest> {
      const digest = digestOf(bytes, algorithm)
      await using writer = await blobs.create()
      await writer.write(Readable.from([bytes]))
      await writer.commit({ digest })
      pushed.add(digest)
      return digest
    }

    async function read(blobs: RepositoryBlobs, digest: Digest): Promise<Buffer> {
      return buffer((await blobs.open(digest)).stream)
    }

    const bodyOf = (...chunks: readonly Uint8Array[]) => Readable.from(chunks)

    describe('a blob', () => {
      it('is there once it is committed, for every replica, and not before', async () => {
        const { here, there } = fresh()
        const bytes = randomBytes(500)
        const digest = digestOf(bytes)
        await using writer = await here.create()
        assert.equal(writer.offset, 0)
        assert.equal(await writer.write(bodyOf(bytes)), 500)
        await rejectsWith('not_found', there.stat(digest))
        assert.deepEqual(await writer.commit({ digest, size: 500 }), { digest, size: 500 })
        pushed.add(digest)
        assert.deepEqual(await there.stat(digest), { digest, size: 500 })
        assert.deepEqual(await read(there, digest), bytes)
      })

      it('may have any size, around those of parts', async () => {
        const { here } = fresh()
        const sizes = [0, 1, partSize - 1, partSize, partSize + 1, 2 * partSize, 3 * partSize + 5]
        for (const size of sizes) {
          const bytes = randomBytes(size)
          const digest = await push(here, bytes)
          assert.deepEqual(await here.stat(digest), { digest, size })
          assert.ok((await read(here, digest)).equals(bytes), `${size} bytes`)
        }
      })

      it('may have a sha512 digest, announced or not', async () => {
        const { here } = fresh()
        for (const size of [0, 10, 2 * partSize + 1]) {
          const bytes = randomBytes(size)
          const digest = await push(here, bytes, 'sha512')
          assert.ok((await read(here, digest)).equals(bytes))
        }
        const bytes = randomBytes(partSize + 1)
        const digest = digestOf(bytes, 'sha512')
        await using writer = await here.create({ algorithm: 'sha512' })
        await writer.write(bodyOf(bytes))
        await writer.commit({ digest })
        pushed.add(digest)
      })

      it('is read in ranges', async () => {
        const { here } = fresh()
        const bytes = randomBytes(2 * partSize)
        const digest = await push(here, bytes)
        const range = { first: partSize - 3, last: partSize + 2 }
        const body = await here.open(digest, { range })
        assert.equal(body.size, bytes.length)
        assert.deepEqual(await buffer(body.stream), bytes.subarray(range.first, range.last + 1))
        const outside = here.open(digest, { range: { first: 2 * partSize, last: 2 * partSize } })
        assert.equal((await rejectsWith('out_of_range', outside)).details.resource, 'blob')
      })

      it('is absent from other repositories until it is linked', async () => {
        const owner = freshRepository()
        const digest = await push(opened.blobs.repository(owner), randomBytes(20))
        const { here } = fresh()
        for (const attempt of [here.stat(digest), here.open(digest), here.link(digest, freshRepository())])
          assert.equal((await rejectsWith('not_found', attempt)).details.resource, 'blob')
        assert.deepEqual(await here.link(digest, owner), { digest, size: 20 })
        const elsewhere = opened.blobs.repository(freshRepository())
        assert.deepEqual(await elsewhere.link(digest, undefined), { digest, size: 20 })
        assert.deepEqual(await elsewhere.stat(digest), { digest, size: 20 })
        assert.deepEqual(await here.stat(digest), { digest, size: 20 })
      })

      it('may be pushed twice at once; both succeed and one object is kept', async () => {
        const bytes = randomBytes(partSize + 100)
        const [one, two] = [fresh().here, fresh().here]
        await Promise.all([push(one, bytes), push(two, bytes)])
        const digest = digestOf(bytes)
        for (const blobs of [one, two]) assert.ok((await read(blobs, digest)).equals(bytes))
      })
    })

    describe('an upload', () => {
      it('gives the same blob however its bytes are cut, wherever they are sent', async () => {
        const sizes = fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 8 })
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.record({ sizes, isChunk: fc.boolean(), stays: fc.boolean() }), { maxLength: 5 }),
            fc.constantFrom<DigestAlgorithm>('sha256', 'sha512'),
            async (writes, algorithm) => {
              const { here, there } = fresh()
              const sent: Buffer[] = []
              let writer = await here.create({ algorithm: 'sha256' })
              for (const { sizes, isChunk, stays } of writes) {
                const chunks = sizes.map(size => randomBytes(size))
                const { offset } = writer
                await writer.write(bodyOf(...chunks), { at: isChunk ? offset : undefined })
                sent.push(...chunks)
                assert.equal(writer.offset, Buffer.concat(sent).length)
                if (stays) continue
                await writer[Symbol.asyncDispose]()
                writer = await there.resume(writer.id)
              }
              const whole = Buffer.concat(sent)
              const digest = digestOf(whole, algorithm)
              await writer.commit({ digest, size: whole.length })
              await writer[Symbol.asyncDispose]()
              pushed.add(digest)
              assert.ok((await read(there, digest)).equals(whole))
            },
          ),
          { numRuns: 40 },
        )
      })

      it('refuses bytes that belong elsewhere, and survives', async () => {
        const { here } = fresh()
        await using writer = await here.create()
        await writer.write(bodyOf(randomBytes(10)), { at: 0 })
        for (const at of [0, 9, 11]) {
          const body = bodyOf(randomBytes(1))
          const error = await rejectsWith('out_of_range', writer.write(body, { at }))
          assert.deepEqual({ ...error.details }, { resource: 'upload', name: writer.id, offset: 10 })
          assert.ok(!body.destroyed, 'the body is still the caller’s')
        }
        assert.equal(await writer.write(bodyOf(randomBytes(5)), { at: 10 }), 15)
      })

      it('keeps its state over a write of no bytes', async () => {
        const { here } = fresh()
        const bytes = randomBytes(2 * partSize + 10)
        await using writer = await here.create()
        assert.equal(await writer.write(bodyOf(), { at: 0 }), 0)
        await writer.write(bodyOf(bytes), { at: 0 })
        assert.equal(await writer.write(bodyOf()), bytes.length)
        const digest = digestOf(bytes)
        await writer.commit({ digest })
        pushed.add(digest)
      })

      it('says where it stands', async () => {
        const { here, there } = fresh()
        await using writer = await here.create()
        assert.deepEqual(await there.status(writer.id), { id: writer.id, offset: 0 })
        await writer.write(bodyOf(randomBytes(partSize + 1)))
        assert.deepEqual(await there.status(writer.id), { id: writer.id, offset: partSize + 1 })
        for (const attempt of [
          fresh().here.status(writer.id),
          fresh().here.resume(writer.id),
          here.status(newUploadId()),
        ])
          assert.equal((await rejectsWith('not_found', attempt)).details.resource, 'upload')
      })

      it('belongs to the account that began it', async () => {
        const { here, there } = fresh()
        const [owner, other] = [parseAccountName('owner'), parseAccountName('other')]
        await using writer = await here.create({ account: owner })
        await writer.write(bodyOf(randomBytes(10)))
        // Nobody else learns that it is there, nor that somebody writes to it.
        for (const account of [other, null]) {
          await rejectsWith('not_found', there.resume(writer.id, { account }))
          await rejectsWith('not_found', there.status(writer.id, { account }))
        }
        await rejectsWith('busy', there.resume(writer.id, { account: owner }))
        assert.equal((await there.status(writer.id, { account: owner })).offset, 10)
        assert.equal((await there.status(writer.id)).offset, 10)
        await writer[Symbol.asyncDispose]()
        for (const account of [other, null])
          await rejectsWith('not_found', there.resume(writer.id, { account }))
        await using again = await there.resume(writer.id, { account: owner })
        await again.cancel()
      })

      it('is anybody’s when nobody in particular began it', async () => {
        const { here, there } = fresh()
        await using writer = await here.create({ account: null })
        await writer[Symbol.asyncDispose]()
        await using again = await there.resume(writer.id, { account: parseAccountName('other') })
        await again.cancel()
      })

      it('has one writer at a time', async () => {
        const { here, there } = fresh()
        const writer = await here.create()
        await rejectsWith('busy', there.resume(writer.id))
        await writer[Symbol.asyncDispose]()
        await using next = await there.resume(writer.id)
        assert.equal(next.id, writer.id)
      })

      it('is taken over from a writer that has fallen silent, whose bytes come to nothing', async () => {
        const { here, there } = fresh()
        const bytes = randomBytes(partSize + 50)
        const silent = await here.create()
        await silent.write(bodyOf(bytes.subarray(0, 30)), { at: 0 })
        opened.advance(opened.leaseMs + 1)
        await using next = await there.resume(silent.id)
        await rejectsWith('conflict', silent.write(bodyOf(randomBytes(7))))
        await rejectsWith('conflict', silent.commit({ digest: digestOf(bytes.subarray(0, 30)) }))
        await silent[Symbol.asyncDispose]()
        await next.write(bodyOf(bytes.subarray(30)), { at: 30 })
        await next.commit({ digest: digestOf(bytes) })
        pushed.add(digestOf(bytes))
      })

      it('is not taken back by a writer that comes to itself when the next one is gone', async () => {
        const { here, there } = fresh()
        const bytes = randomBytes(3 * partSize)
        const [asleep, awake] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
        const silent = await here.create()
        const body = (async function* () {
          yield randomBytes(2 * partSize + 10)
          asleep.resolve()
          await awake.promise
          yield randomBytes(5)
        })()
        // Asked for only when the bytes before have been taken.
        const late = silent.write(Readable.from(body, { highWaterMark: 0 }))
        late.catch(() => undefined)
        await asleep.promise
        opened.advance(opened.leaseMs + 1)
        const next = await there.resume(silent.id)
        const { offset } = next
        await next.write(bodyOf(bytes.subarray(0, 3 * partSize - 5)), { at: offset })
        const reached = next.offset
        await next[Symbol.asyncDispose]()
        awake.resolve()
        await rejectsWith('conflict', late)
        await silent[Symbol.asyncDispose]()
        assert.equal((await there.status(silent.id)).offset, reached)
        await using last = await there.resume(silent.id)
        await last.cancel()
      })

      it('stays with its writer while bytes flow, however long that takes', async () => {
        const { here, there } = fresh()
        const chunks = Array.from({ length: 8 }, () => randomBytes(partSize / 2))
        await using writer = await here.create()
        const slow = Readable.from(
          (async function* () {
            for (const chunk of chunks) {
              opened.advance(opened.leaseMs * 0.8)
              yield chunk
            }
          })(),
        )
        await writer.write(slow)
        await rejectsWith('busy', there.resume(writer.id))
        const digest = digestOf(Buffer.concat(chunks))
        await writer.commit({ digest })
        pushed.add(digest)
      })
    })

    describe('a body that', () => {
      it('breaks off keeps what arrived', async () => {
        const { here, there } = fresh()
        const bytes = randomBytes(3 * partSize)
        const arrived = partSize + 77
        const failure = new Error('connection reset')
        const writer = await here.create()
        const broken = Readable.from(
          (async function* () {
            yield bytes.subarray(0, partSize)
            yield bytes.subarray(partSize, arrived)
            throw failure
          })(),
        )
        await assert.rejects(writer.write(broken), (error: unknown) => error === failure)
        assert.equal(writer.offset, arrived)
        await writer[Symbol.asyncDispose]()
        await using next = await there.resume(writer.id)
        await next.write(bodyOf(bytes.subarray(arrived)))
        await next.commit({ digest: digestOf(bytes) })
        pushed.add(digestOf(bytes))
      })

      it('is given up by a signal keeps what arrived, and leaves no listener', async () => {
        const { here } = fresh()
        const abort = new AbortController()
        const reason = new Error('the client went away')
        await using writer = await here.create()
        const stalled = new Readable({ read() {} })
        stalled.push(randomBytes(3 * partSize))
        const attempt = writer.write(stalled, { signal: abort.signal })
        setImmediate(() => abort.abort(reason))
        await assert.rejects(attempt, (error: unknown) => error === reason)
        assert.ok(stalled.destroyed)
        assert.equal(writer.offset, 3 * partSize)
        assert.equal((await here.status(writer.id)).offset, writer.offset)
        assert.equal(getEventListeners(abort.signal, 'abort').length, 0)
      })

      it('is shorter or longer than announced is refused, and the session survives', async () => {
        const { here } = fresh()
        await using writer = await here.create()
        await rejectsWith('size_mismatch', writer.write(bodyOf(Buffer.from('12')), { length: 3 }))
        assert.equal(writer.offset, 2)
        const surplus = bodyOf(Buffer.from('3'), Buffer.from('4'))
        await rejectsWith('size_mismatch', writer.write(surplus, { length: 1 }))
        assert.equal(writer.offset, 3)
        const digest = digestOf(Buffer.from('123'))
        await writer.commit({ digest })
        pushed.add(digest)
      })
    })

    describe('a commit', () => {
      it('with another digest ends the session and its bytes', async () => {
        const { here } = fresh()
        for (const size of [0, 10, 2 * partSize + 10]) {
          for (const algorithm of ['sha256', 'sha512'] as const) {
            await using writer = await here.create()
            await writer.write(bodyOf(randomBytes(size)))
            const digest = digestOf(Buffer.from('something else'), algorithm)
            await rejectsWith('digest_mismatch', writer.commit({ digest }))
            await rejectsWith('not_found', here.stat(digest))
            await rejectsWith('not_found', here.resume(writer.id))
            await rejectsWith('not_found', writer.write(bodyOf()))
            await writer.cancel()
          }
        }
      })

      it('finds a wrong digest also when the bytes were hashed by nobody', async () => {
        const { here, there } = fresh()
        const writer = await here.create()
        await writer.write(bodyOf(randomBytes(10)))
        await writer[Symbol.asyncDispose]()
        await using next = await there.resume(writer.id)
        await next.write(bodyOf(randomBytes(partSize)))
        await rejectsWith('digest_mismatch', next.commit({ digest: digestOf(randomBytes(10)) }))
        await rejectsWith('not_found', here.status(writer.id))
      })

      it('with another size is refused, and the session survives', async () => {
        const { here } = fresh()
        const bytes = randomBytes(10)
        await using writer = await here.create()
        await writer.write(bodyOf(bytes))
        await rejectsWith('size_mismatch', writer.commit({ digest: digestOf(bytes), size: 11 }))
        await writer.commit({ digest: digestOf(bytes), size: 10 })
        pushed.add(digestOf(bytes))
      })

      it('may be repeated, also by another process, but not with another digest', async () => {
        const { here, there } = fresh()
        const bytes = randomBytes(partSize + 10)
        const digest = digestOf(bytes)
        await using writer = await here.create()
        await writer.write(bodyOf(bytes))
        const info = await writer.commit({ digest })
        pushed.add(digest)
        assert.deepEqual(await writer.commit({ digest }), info)
        await using retry = await there.resume(writer.id)
        assert.deepEqual(await retry.commit({ digest }), info)
        await rejectsWith('not_found', retry.commit({ digest: digestOf(Buffer.from('other')) }))
        await rejectsWith('not_found', retry.write(bodyOf(bytes)))
        await rejectsWith('not_found', retry.cancel())
        await rejectsWith('not_found', here.status(writer.id))
        await here.stat(digest)
      })
    })

    describe('a session', () => {
      it('that is cancelled is gone, and cancelling is done once', async () => {
        const { here } = fresh()
        await using writer = await here.create()
        await writer.write(bodyOf(randomBytes(2 * partSize + 1)))
        await writer.cancel()
        await writer.cancel()
        await rejectsWith('not_found', here.resume(writer.id))
        await rejectsWith('not_found', writer.commit({ digest: digestOf(Buffer.from('x')) }))
      })

      it('expires', async () => {
        const { here } = fresh()
        const writer = await here.create()
        await writer.write(bodyOf(randomBytes(2 * partSize + 1)))
        await writer[Symbol.asyncDispose]()
        opened.advance(opened.uploadTtlMs + 1)
        await rejectsWith('not_found', here.resume(writer.id))
        await rejectsWith('not_found', here.status(writer.id))
        assert.deepEqual(await opened.sweep(), { objects: pushed.size, unfinished: 0 })
      })
    })

    it('throws the reason of a signal that is aborted already, from every method', async () => {
      const { here } = fresh()
      const bytes = randomBytes(30)
      const digest = await push(here, bytes)
      await using writer = await here.create()
      const body = bodyOf(bytes)
      const reason = new Error('not wanted any more')
      const options = { signal: AbortSignal.abort(reason) }
      const attempts: Record<string, () => Promise<unknown>> = {
        stat: () => here.stat(digest, options),
        open: () => here.open(digest, options),
        create: () => here.create(options),
        resume: () => here.resume(writer.id, options),
        status: () => here.status(writer.id, options),
        link: () => here.link(digest, freshRepository(), options),
        write: () => writer.write(body, options),
        commit: () => writer.commit({ digest, ...options }),
        cancel: () => writer.cancel(options),
      }
      for (const [method, attempt] of Object.entries(attempts))
        await assert.rejects(attempt, (error: unknown) => error === reason, method)
      assert.equal(await writer.write(body), 30)
    })
  })
}

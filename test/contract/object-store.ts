import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAbort, isDomainError } from '../../src/errors.ts'
import type { Abortable } from '../../src/storage/abortable.ts'
import { newObjectKey, type ObjectKey } from '../../src/storage/objects/keys.ts'
import type {
  ObjectInfo,
  ObjectStore,
  UnfinishedWrite,
  UploadedPart,
} from '../../src/storage/objects/object-store.ts'
import { rejectsWith } from '../support/rejects.ts'

export interface OpenedObjectStore {
  readonly store: ObjectStore
  /** Called once after all tests; fails when something is left that no method can reach. */
  close(): Promise<void>
}

export interface ObjectStoreContractOptions {
  /** Bytes; S3 takes no smaller part than 5 MiB. */
  readonly partSize?: number | undefined
  /** Whether the store can say what is unfinished. */
  readonly listsUnfinished?: boolean | undefined
}

/** The executable half of {@link ObjectStore}. */
export function objectStoreContract(
  name: string,
  open: () => Promise<OpenedObjectStore>,
  { partSize = 1024, listsUnfinished = true }: ObjectStoreContractOptions = {},
): void {
  describe(`${name} as an ObjectStore`, () => {
    let opened: OpenedObjectStore
    let store: ObjectStore
    before(async () => {
      opened = await open()
      store = opened.store
    })
    after(async () => {
      try {
        assert.deepEqual(await keysIn(store), [], 'a test has left objects behind')
      } finally {
        await opened.close()
      }
    })

    /** Runs a test with fresh keys, which it may fill and need not empty. */
    function withKeys(title: string, count: number, test: (...keys: ObjectKey[]) => Promise<void>): void {
      it(title, async () => {
        const keys = Array.from({ length: count }, () => newObjectKey())
        try {
          await test(...keys)
        } finally {
          await store.delete(keys)
        }
      })
    }

    it('answers a ping, and not one that is aborted', async () => {
      await store.ping()
      const reason = new Error('not wanted any more')
      await assert.rejects(store.ping({ signal: AbortSignal.abort(reason) }), error => error === reason)
    })

    describe('put, get and head', () => {
      withKeys('give back what was put', 1, async key => {
        const bytes = randomBytes(3000)
        assert.deepEqual(await store.put(key, bytes), { key, size: 3000 })
        assert.deepEqual(await store.head(key), { key, size: 3000 })
        assert.deepEqual(await read(store, key), bytes)
      })

      withKeys('keep an empty object', 1, async key => {
        assert.deepEqual(await store.put(key, Buffer.alloc(0)), { key, size: 0 })
        assert.deepEqual(await store.head(key), { key, size: 0 })
        assert.equal((await read(store, key)).length, 0)
      })

      withKeys('are not changed by what the caller does to its buffer afterwards', 1, async key => {
        const bytes = Buffer.from('before')
        await store.put(key, bytes)
        bytes.fill(0)
        assert.equal((await read(store, key)).toString(), 'before')
      })

      withKeys('replace an object, since a put may be repeated', 1, async key => {
        await store.put(key, Buffer.from('the first, longer'))
        await store.put(key, Buffer.from('the second'))
        assert.equal((await read(store, key)).toString(), 'the second')
      })

      withKeys('refuse what is not there', 1, async key => {
        await rejectsWith('not_found', store.head(key))
        await rejectsWith('not_found', store.get(key))
      })

      withKeys('let one win when ifAbsent puts race, and keep its bytes', 1, async key => {
        const bodies = Array.from({ length: 8 }, (_, index) => Buffer.from(`body ${index}`))
        const results = await Promise.allSettled(bodies.map(body => store.put(key, body, { ifAbsent: true })))
        const won = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [bodies[index]] : []))
        assert.equal(won.length, 1)
        for (const result of results)
          if (result.status === 'rejected') assert.ok(isDomainError(result.reason, 'already_exists'))
        assert.deepEqual(await read(store, key), won[0])
      })

      withKeys('let a reader stop early', 1, async key => {
        await store.put(key, randomBytes(2_000_000))
        const { stream } = await store.get(key)
        for await (const _chunk of stream) break
        assert.ok(stream.destroyed)
        const unread = await store.get(key)
        unread.stream.destroy()
      })
    })

    describe('a range', () => {
      const bytes = Buffer.from('0123456789')
      const cases: readonly [first: number, last: number, wanted: string][] = [
        [0, 0, '0'],
        [0, 9, '0123456789'],
        [3, 5, '345'],
        [9, 9, '9'],
        [7, 1000, '789'],
      ]
      withKeys('selects bytes, both ends inclusive, cut at the end', 1, async key => {
        await store.put(key, bytes)
        for (const [first, last, wanted] of cases) {
          const body = await store.get(key, { range: { first, last } })
          assert.equal((await buffer(body.stream)).toString(), wanted)
          assert.equal(body.size, 10, 'size is that of the object')
        }
      })

      withKeys('outside the object is refused', 2, async (key, empty) => {
        await store.put(key, bytes)
        await store.put(empty, Buffer.alloc(0))
        await rejectsWith('out_of_range', store.get(key, { range: { first: 10, last: 12 } }))
        await rejectsWith('out_of_range', store.get(key, { range: { first: 5, last: 4 } }))
        await rejectsWith('out_of_range', store.get(empty, { range: { first: 0, last: 0 } }))
      })
    })

    describe('delete', () => {
      withKeys('removes several and takes absent ones for done', 3, async (one, two, absent) => {
        await store.put(one, Buffer.from('1'))
        await store.put(two, Buffer.from('2'))
        await store.delete([one, absent, two])
        await rejectsWith('not_found', store.head(one))
        await rejectsWith('not_found', store.head(two))
        await store.delete([one, two])
        await store.delete([])
      })
    })

    describe('list', () => {
      withKeys('gives keys of a prefix in byte order, after a key', 6, async (...keys) => {
        for (const key of keys) await store.put(key, Buffer.from(key))
        const sorted = keys.toSorted()
        assert.deepEqual(await keysIn(store), sorted)
        for (const [index, key] of sorted.entries()) {
          assert.deepEqual(await keysIn(store, 'blobs/', key), sorted.slice(index + 1))
          assert.deepEqual(await keysIn(store, key), [key])
          const shard = key.slice(0, 'blobs/00'.length)
          assert.deepEqual(
            await keysIn(store, shard),
            sorted.filter(other => other.startsWith(shard)),
          )
        }
        assert.deepEqual(await keysIn(store, 'nothing/'), [])
        for await (const { key, size } of store.list('')) assert.equal(size, key.length)
      })

      withKeys('does not show what is not complete', 1, async key => {
        const upload = await store.createMultipart(key, { partSize })
        await upload.uploadPart(1, randomBytes(10))
        assert.deepEqual(await keysIn(store), [])
        await upload.abort()
      })
    })

    describe('a multipart upload', () => {
      const parts = [randomBytes(partSize), randomBytes(partSize), randomBytes(partSize / 2)] as const

      withKeys('appears as one object when it is complete, not before', 1, async key => {
        const upload = await store.createMultipart(key, { partSize })
        assert.equal(upload.key, key)
        assert.ok(Buffer.byteLength(upload.token) <= 1024)
        const sent = [await upload.uploadPart(1, parts[0]), await upload.uploadPart(2, parts[1])]
        sent.push(await upload.uploadPart(3, parts[2]))
        assert.deepEqual(
          sent.map(({ number, size }) => [number, size]),
          parts.map((part, index) => [index + 1, part.length]),
        )
        await rejectsWith('not_found', store.head(key))
        assert.deepEqual(await upload.complete(sent), { key, size: 2.5 * partSize })
        assert.deepEqual(await read(store, key), Buffer.concat(parts))
      })

      withKeys('takes parts in any order and at once', 1, async key => {
        const upload = await store.createMultipart(key, { partSize })
        const sent = await Promise.all(
          [3, 1, 2].map(number => upload.uploadPart(number, parts[number - 1] ?? parts[0])),
        )
        await upload.complete(sent.toSorted((one, other) => one.number - other.number))
        assert.deepEqual(await read(store, key), Buffer.concat(parts))
      })

      withKeys('counts the last sending of a part, even a shorter one', 1, async key => {
        const upload = await store.createMultipart(key, { partSize })
        await upload.uploadPart(1, parts[1])
        await upload.uploadPart(2, parts[0])
        const first = await upload.uploadPart(1, parts[0])
        const second = await upload.uploadPart(2, parts[2])
        await upload.complete([first, second])
        assert.deepEqual(await read(store, key), Buffer.concat([parts[0], parts[2]]))
      })

      withKeys('can have one part only, even an empty one', 2, async (short, empty) => {
        const upload = await store.createMultipart(short, { partSize })
        await upload.complete([await upload.uploadPart(1, Buffer.from('short'))])
        assert.equal((await read(store, short)).toString(), 'short')

        const none = await store.createMultipart(empty, { partSize })
        await none.complete([await none.uploadPart(1, Buffer.alloc(0))])
        assert.equal((await store.head(empty)).size, 0)
      })

      withKeys('is continued by its token', 1, async key => {
        const begun = await store.createMultipart(key, { partSize })
        const first = await begun.uploadPart(1, parts[0])
        const resumed = await store.resumeMultipart(key, begun.token, { partSize })
        assert.equal(resumed.token, begun.token)
        const second = await resumed.uploadPart(2, parts[2])
        const again = await store.resumeMultipart(key, begun.token, { partSize })
        await again.complete([first, second])
        assert.deepEqual(await read(store, key), Buffer.concat([parts[0], parts[2]]))
      })

      withKeys('may be completed twice, also by another process', 1, async key => {
        const upload = await store.createMultipart(key, { partSize })
        const sent = [await upload.uploadPart(1, parts[0])]
        const info = await upload.complete(sent)
        assert.deepEqual(await upload.complete(sent), info)
        const resumed = await store.resumeMultipart(key, upload.token, { partSize })
        assert.deepEqual(await resumed.complete(sent), info)
        assert.deepEqual(await read(store, key), parts[0])
      })

      withKeys('may be aborted twice, and is gone then', 1, async key => {
        const upload = await store.createMultipart(key, { partSize })
        const sent = await upload.uploadPart(1, parts[0])
        await upload.abort()
        await upload.abort()
        await rejectsWith('not_found', upload.uploadPart(2, parts[1]))
        await rejectsWith('not_found', upload.complete([sent]))
        await rejectsWith('not_found', resumedPart(key, upload.token))
        await rejectsWith('not_found', store.head(key))
      })

      withKeys('of nobody cannot be continued', 1, async key => {
        await rejectsWith('not_found', resumedPart(key, '0'.repeat(32)))
      })

      /** Whether an upload is gone may be known no earlier than when something is asked of it. */
      async function resumedPart(key: ObjectKey, token: string): Promise<UploadedPart> {
        return (await store.resumeMultipart(key, token, { partSize })).uploadPart(1, parts[0])
      }

      withKeys('refuses parts with gaps, short ones in the middle, and too long ones', 1, async key => {
        const upload = await store.createMultipart(key, { partSize })
        const [full, short] = [await upload.uploadPart(1, parts[0]), await upload.uploadPart(2, parts[2])]
        await rejectsWith('invalid', upload.complete([]))
        await rejectsWith('invalid', upload.complete([short]))
        await rejectsWith('invalid', upload.complete([short, full]))
        await rejectsWith('invalid', upload.complete([full, short, { ...full, number: 3 }]))
        await rejectsWith('invalid', upload.uploadPart(3, Buffer.alloc(partSize + 1)))
        await rejectsWith('invalid', upload.uploadPart(0, Buffer.alloc(1)))
        await upload.complete([full, short])
        assert.equal((await store.head(key)).size, 1.5 * partSize)
      })

      withKeys('refuses parts that were never sent', 2, async (key, other) => {
        const upload = await store.createMultipart(key, { partSize })
        const second = await upload.uploadPart(2, parts[2])
        await rejectsWith('invalid', upload.complete([{ ...second, number: 1, size: partSize }, second]))
        const elsewhere = await store.createMultipart(other, { partSize })
        const foreign = await elsewhere.uploadPart(1, parts[0])
        await elsewhere.abort()
        await rejectsWith('invalid', upload.complete([foreign, second]))
        await rejectsWith('not_found', store.head(key))
        await upload.complete([await upload.uploadPart(1, parts[0]), second])
        assert.deepEqual(await read(store, key), Buffer.concat([parts[0], parts[2]]))
      })

      withKeys('carries big parts whole', 1, async key => {
        const partSize = 5 * 1024 * 1024
        const body = randomBytes(partSize + 12345)
        const upload = await store.createMultipart(key, { partSize })
        const sent = [
          await upload.uploadPart(1, body.subarray(0, partSize)),
          await upload.uploadPart(2, body.subarray(partSize)),
        ]
        await upload.complete(sent)
        assert.ok((await read(store, key)).equals(body))
        const seam = { first: partSize - 10, last: partSize + 9 }
        const { stream } = await store.get(key, { range: seam })
        assert.ok((await buffer(stream)).equals(body.subarray(seam.first, seam.last + 1)))
      })
    })

    describe('a multipart upload that is taken over', () => {
      const parts = [randomBytes(partSize), randomBytes(partSize), randomBytes(partSize / 2)] as const
      const late = randomBytes(partSize)

      withKeys('keeps its parts, and takes no more from its earlier writer', 1, async key => {
        const silent = await store.createMultipart(key, { partSize })
        const first = await silent.uploadPart(1, parts[0])
        const lost = await silent.uploadPart(2, late)
        const next = await store.takeOverMultipart(key, silent.token, { partSize, keptParts: 1 })
        const second = await next.uploadPart(2, parts[1])
        // Whether these are refused is the store's business; what counts is the object.
        await Promise.allSettled([silent.uploadPart(1, late), silent.uploadPart(2, late)])
        await silent.complete([first, lost]).catch(() => undefined)
        const resumed = await store.resumeMultipart(key, next.token, { partSize })
        const third = await resumed.uploadPart(3, parts[2])
        try {
          await resumed.complete([first, second, third])
        } catch (error) {
          assert.ok(isDomainError(error, 'invalid'), String(error))
          const again = [await resumed.uploadPart(1, parts[0]), await resumed.uploadPart(2, parts[1])]
          await resumed.complete([...again, third])
        }
        await silent.complete([first, lost]).catch(() => undefined)
        assert.deepEqual(await read(store, key), Buffer.concat(parts))
        await silent.abort()
        assert.deepEqual(await read(store, key), Buffer.concat(parts))
      })

      withKeys('may have no part, or be taken over again', 1, async key => {
        const begun = await store.createMultipart(key, { partSize })
        await begun.uploadPart(1, late)
        const second = await store.takeOverMultipart(key, begun.token, { partSize, keptParts: 0 })
        const part = await second.uploadPart(1, parts[0])
        const third = await store.takeOverMultipart(key, second.token, { partSize, keptParts: 1 })
        await third.complete([part])
        assert.deepEqual(await read(store, key), parts[0])
      })

      withKeys('may be complete already, but not gone', 1, async key => {
        const upload = await store.createMultipart(key, { partSize })
        const sent = [await upload.uploadPart(1, parts[2])]
        await upload.complete(sent)
        const taken = await store.takeOverMultipart(key, upload.token, { partSize, keptParts: 1 })
        assert.deepEqual(await taken.complete(sent), { key, size: parts[2].length })
        await store.delete([key])
        const again = store.takeOverMultipart(key, upload.token, { partSize, keptParts: 1 })
        await rejectsWith(
          'not_found',
          again.then(gone => gone.complete(sent)),
        )
      })

      withKeys('is not mixed with parts that come late and have other bytes', 1, async key => {
        const silent = await store.createMultipart(key, { partSize })
        const kept = await silent.uploadPart(1, parts[0])
        const next = await store.takeOverMultipart(key, silent.token, { partSize, keptParts: 1 })
        const own = [kept, await next.uploadPart(2, parts[1])]
        await silent.uploadPart(2, late).catch(() => undefined)
        const isRefused = await next.complete(own).then(
          () => false,
          (error: unknown) => isDomainError(error, 'invalid'),
        )
        if (isRefused) await next.complete([kept, await next.uploadPart(2, parts[1])])
        assert.deepEqual(await read(store, key), Buffer.concat([parts[0], parts[1]]))
      })

      withKeys('takes a part that comes late for its own when the bytes are the same', 1, async key => {
        const silent = await store.createMultipart(key, { partSize })
        const kept = await silent.uploadPart(1, parts[0])
        const next = await store.takeOverMultipart(key, silent.token, { partSize, keptParts: 1 })
        const own = [kept, await next.uploadPart(2, parts[1])]
        await silent.uploadPart(2, parts[1]).catch(() => undefined)
        await next.complete(own)
        assert.deepEqual(await read(store, key), Buffer.concat([parts[0], parts[1]]))
      })
    })

    describe('what is unfinished', () => {
      const tokens = async () => (await unfinishedIn(store)).map(({ token }) => token)

      if (!listsUnfinished) {
        withKeys('is not listed', 1, async key => {
          const upload = await store.createMultipart(key, { partSize })
          assert.deepEqual(await tokens(), [])
          await upload.abort()
        })
        return
      }

      withKeys('is listed from its beginning to its end', 2, async (done, dropped) => {
        const one = await store.createMultipart(done, { partSize })
        const two = await store.createMultipart(dropped, { partSize })
        const listed = await tokens()
        assert.ok(listed.includes(one.token) && listed.includes(two.token))
        await one.complete([await one.uploadPart(1, randomBytes(10))])
        await two.abort()
        const left = await tokens()
        assert.ok(!left.includes(one.token) && !left.includes(two.token))
      })

      withKeys('can be discarded, more than once', 1, async key => {
        const upload = await store.createMultipart(key, { partSize })
        const part = await upload.uploadPart(1, randomBytes(10))
        const found = (await unfinishedIn(store)).find(({ token }) => token === upload.token)
        assert.ok(found)
        await found.discard()
        await found.discard()
        await rejectsWith('not_found', upload.complete([part]))
        assert.ok(!(await tokens()).includes(upload.token))
      })
    })

    describe('a signal that aborts a get', () => {
      withKeys('before-anybody-reads: ends the stream and not the process', 1, async key => {
        await store.put(key, Buffer.alloc(1000))
        const controller = new AbortController()
        const { stream } = await store.get(key, { signal: controller.signal })
        controller.abort()
        do await sleep(1)
        while (!stream.destroyed)
      })

      withKeys('while it is under way: rejects, or gives a stream that ends', 1, async key => {
        await store.put(key, Buffer.alloc(1000))
        const controller = new AbortController()
        const getting = store.get(key, { signal: controller.signal })
        controller.abort()
        const body = await getting.catch((error: unknown) => assert.ok(isAbort(error)))
        do await sleep(1)
        while (body?.stream.destroyed === false)
      })
    })

    describe('a signal that is aborted already', () => {
      const reason = new Error('not wanted any more')
      const signal = AbortSignal.abort(reason)
      const options = { signal, partSize }

      withKeys('is thrown by every method, which does nothing', 2, async (key, other) => {
        await store.put(key, Buffer.from('kept'))
        const upload = await store.createMultipart(other, { partSize })
        const part = await upload.uploadPart(1, Buffer.from('kept too'))
        const attempts: readonly [string, () => Promise<unknown>][] = [
          ['head', () => store.head(key, options)],
          ['get', () => store.get(key, options)],
          ['put', () => store.put(key, Buffer.from('new'), options)],
          ['delete', () => store.delete([key], options)],
          ['list', () => infosOf(store.list('', options))],
          ['createMultipart', () => store.createMultipart(other, options)],
          ['resumeMultipart', () => store.resumeMultipart(other, upload.token, options)],
          [
            'takeOverMultipart',
            () => store.takeOverMultipart(other, upload.token, { ...options, keptParts: 1 }),
          ],
          ['unfinished', () => unfinishedIn(store, options)],
          ['uploadPart', () => upload.uploadPart(1, Buffer.from('new'), options)],
          ['complete', () => upload.complete([part], options)],
          ['abort', () => upload.abort(options)],
        ]
        for (const [method, attempt] of attempts)
          await assert.rejects(attempt, (error: unknown) => error === reason, method)
        assert.equal((await read(store, key)).toString(), 'kept')
        await upload.complete([part])
        assert.equal((await read(store, other)).toString(), 'kept too')
      })

      withKeys('later ends the reading', 1, async key => {
        await store.put(key, randomBytes(2_000_000))
        const abort = new AbortController()
        const { stream } = await store.get(key, { signal: abort.signal })
        await assert.rejects(
          async () => {
            for await (const _chunk of stream) abort.abort()
          },
          { name: 'AbortError' },
        )
      })
    })
  })
}

export async function keysIn(store: ObjectStore, prefix = '', after?: ObjectKey): Promise<ObjectKey[]> {
  return (await infosOf(store.list(prefix, { after }))).map(({ key }) => key)
}

async function unfinishedIn(store: ObjectStore, options?: Abortable): Promise<UnfinishedWrite[]> {
  const writes: UnfinishedWrite[] = []
  for await (const write of store.unfinished(options)) writes.push(write)
  return writes
}

async function infosOf(list: AsyncIterable<ObjectInfo>): Promise<ObjectInfo[]> {
  const infos: ObjectInfo[] = []
  for await (const info of list) infos.push(info)
  return infos
}

async function read(store: ObjectStore, key: ObjectKey): Promise<Buffer> {
  const { stream }: { stream: Readable } = await store.get(key)
  return buffer(stream)
}

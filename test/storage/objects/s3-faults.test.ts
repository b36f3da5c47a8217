import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { after, before, beforeEach, describe, it } from 'node:test'
import { newObjectKey, type ObjectKey } from '../../../src/storage/objects/keys.ts'
import { S3ObjectStore, type S3ObjectStoreOptions } from '../../../src/storage/objects/s3/s3-object-store.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type FaultyS3, startFaultyS3 } from '../../support/s3-faults.ts'
import { type S3TestServer, skipWithoutS3, startS3Server } from '../../support/s3-server.ts'

const partSize = 5 * 1024 * 1024

describe('S3ObjectStore before a store that fails', { skip: await skipWithoutS3('versitygw') }, () => {
  let server: S3TestServer
  let faulty: FaultyS3
  let store: S3ObjectStore
  const retries: string[] = []
  before(async () => {
    server = await startS3Server('versitygw')
    faulty = await startFaultyS3(server)
    store = await open({ onRetry: operation => retries.push(operation) })
  })
  after(async () => {
    await using stack = new AsyncDisposableStack()
    stack.use(server)
    stack.use(faulty)
    stack.use(store)
  })
  beforeEach(() => {
    faulty.set({})
    faulty.forgetRequests()
    retries.length = 0
  })

  function open(more: Partial<S3ObjectStoreOptions> = {}): Promise<S3ObjectStore> {
    return S3ObjectStore.open({ ...faulty, maxAttempts: 3, idleTimeoutMs: 30_000, ...more })
  }

  async function stored(bytes: Buffer): Promise<ObjectKey> {
    const key = newObjectKey()
    await store.put(key, bytes)
    faulty.forgetRequests()
    return key
  }

  async function read(key: ObjectKey): Promise<Buffer> {
    return await buffer((await store.get(key)).stream)
  }

  describe('sends', () => {
    it('one request for each put, get, head, delete and ping', async () => {
      const key = await stored(randomBytes(1024))
      await store.put(key, randomBytes(1024))
      await read(key)
      await store.head(key)
      await store.ping()
      await store.delete([key])
      await store.delete([key, newObjectKey(), newObjectKey()])
      assert.deepEqual(faulty.countByOperation(), {
        PutObject: 1,
        GetObject: 1,
        HeadObject: 1,
        HeadBucket: 1,
        DeleteObject: 1,
        DeleteObjects: 1,
      })
    })

    it('n + 2 requests for a multipart upload of n parts, also by another process', async () => {
      const key = newObjectKey()
      const upload = await store.createMultipart(key, { partSize })
      const parts = [await upload.uploadPart(1, Buffer.alloc(partSize))]
      const resumed = await store.resumeMultipart(key, upload.token, { partSize })
      parts.push(await resumed.uploadPart(2, Buffer.alloc(partSize)))
      const taken = await store.takeOverMultipart(key, upload.token, { partSize, keptParts: 2 })
      parts.push(await taken.uploadPart(3, Buffer.alloc(1)))
      await taken.complete(parts)
      assert.deepEqual(faulty.countByOperation(), {
        CreateMultipartUpload: 1,
        UploadPart: 3,
        CompleteMultipartUpload: 1,
      })
      await store.delete([key])
    })
  })

  describe('reads an object whole', () => {
    for (const fault of ['reset-in-answer', 'truncated', 'stalled'] as const)
      it(`when its first two connections are ${fault}`, async () => {
        const bytes = randomBytes(3_000_000)
        const key = await stored(bytes)
        faulty.failNext(fault, { operation: 'GetObject', times: 2 })
        // With a short patience, or a stalled one would take a minute; a store that is only slow must not seem stalled.
        await using impatient = await open({ idleTimeoutMs: 1500 })
        assert.ok((await buffer((await impatient.get(key)).stream)).equals(bytes))
        assert.deepEqual(faulty.countByOperation(), { GetObject: 3 })
        await store.delete([key])
      })

    it('but does not go on for ever', async () => {
      const key = await stored(randomBytes(1000))
      faulty.set({ rates: { truncated: 1 } })
      await rejectsWith('unavailable', read(key))
      faulty.set({})
      await store.delete([key])
    })

    it('but not when it is gone in the middle', async () => {
      const key = await stored(randomBytes(3_000_000))
      // Of what is reset, less may arrive than the stream reads ahead; it would go on before the object is deleted.
      faulty.failNext('truncated', { operation: 'GetObject' })
      const { stream } = await store.get(key)
      await store.delete([key])
      await rejectsWith('not_found', buffer(stream))
    })
  })

  describe('tries again', () => {
    for (const fault of ['reset', 'internal-error', 'slow-down', 'late-error', 'lost-answer'] as const)
      it(`after ${fault}`, async () => {
        const bytes = randomBytes(1000)
        const key = newObjectKey()
        faulty.failNext(fault, { operation: 'PutObject' })
        await store.put(key, bytes)
        assert.ok((await read(key)).equals(bytes))
        assert.deepEqual(retries, ['PutObject'])
        await store.delete([key])
      })

    for (const fault of ['lost-answer', 'late-error', 'error-in-ok'] as const)
      it(`to complete an upload, after ${fault}`, async () => {
        const key = newObjectKey()
        const upload = await store.createMultipart(key, { partSize })
        const part = await upload.uploadPart(1, Buffer.from('all'))
        faulty.failNext(fault, { operation: 'CompleteMultipartUpload' })
        assert.deepEqual(await upload.complete([part]), { key, size: 3 })
        assert.equal((await read(key)).toString(), 'all')
        await store.delete([key])
      })
  })

  describe('is unavailable, and recovers by itself', () => {
    it('while the store is busy', async () => {
      await using impatient = await open({ maxAttempts: 1 })
      faulty.set({ rates: { 'slow-down': 1 } })
      const error = await rejectsWith('unavailable', impatient.ping())
      assert.match(error.message, /too much to do/)
      faulty.set({})
      await impatient.ping()
    })

    it('while nobody answers', async () => {
      await faulty.outage()
      const error = await rejectsWith('unavailable', store.put(newObjectKey(), Buffer.alloc(1)))
      assert.match(error.message, /does not answer \(ECONNREFUSED\)/)
      await faulty.recover()
      await store.ping()
    })

    for (const state of ['expired', 'denied'] as const)
      it(`while the credentials are ${state}`, async () => {
        faulty.credentialsAre(state)
        const error = await rejectsWith('unavailable', store.put(newObjectKey(), Buffer.alloc(1)))
        assert.ok(
          !JSON.stringify([error.message, error.details]).includes(server.credentials.secretAccessKey),
        )
        faulty.credentialsAre('valid')
        await store.ping()
      })
  })

  it('leaves nothing on a signal that was not needed', async () => {
    const { signal } = new AbortController()
    const key = await stored(randomBytes(100_000))
    await store.head(key, { signal })
    await buffer((await store.get(key, { signal })).stream)
    faulty.failNext('internal-error', { operation: 'PutObject' })
    await store.put(key, Buffer.alloc(10), { signal })
    await store.delete([key], { signal })
    assert.deepEqual(getEventListeners(signal, 'abort'), [])
  })

  it('stops waiting for a silent store when it is told to', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await new Promise(resolve => silent.once('listening', resolve))
    const address = silent.address()
    assert.ok(address !== null && typeof address === 'object')
    await using waiting = await open({ endpoint: `http://127.0.0.1:${address.port}`, idleTimeoutMs: 60_000 })
    const reason = new Error('not wanted any more')
    const controller = new AbortController()
    const attempt = waiting.head(newObjectKey(), { signal: controller.signal })
    silent.once('request', () => controller.abort(reason))
    await assert.rejects(attempt, error => error === reason)
    silent.close()
    silent.closeAllConnections()
  })

  it('makes URLs with which anybody can read, by the name that clients know', async () => {
    const bytes = randomBytes(100)
    const key = await stored(bytes)
    await using published = await open({ publicEndpoint: 'https://blobs.example' })
    assert.equal((await published.presignGet(key, 60)).origin, 'https://blobs.example')
    const url = await store.presignGet(key, 60)
    assert.deepEqual(faulty.countByOperation(), {})
    assert.ok(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes))
    url.searchParams.set('X-Amz-Expires', '61')
    assert.equal((await fetch(url)).status, 403)
    await store.delete([key])
  })
})

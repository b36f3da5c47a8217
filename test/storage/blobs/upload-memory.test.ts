import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { RepositoryBlobs } from '../../../src/storage/blobs/blob-store.ts'
import { BufferBudget } from '../../../src/storage/blobs/buffer-budget.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { TestBlobStore, testSettings } from '../../support/blob-store.ts'
import { freshRepository } from '../../support/records.ts'

const { partSizeBytes, partHoldMs } = testSettings

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn()
}

describe('The memory of uploads', () => {
  let opened: TestBlobStore
  let buffers: BufferBudget
  let blobs: RepositoryBlobs
  let time = 0
  beforeEach(async () => {
    opened = await TestBlobStore.open('memory')
    buffers = new BufferBudget({ limitBytes: 2 * partSizeBytes, partBytes: partSizeBytes })
    time = Date.UTC(2026, 0, 1)
    blobs = new ObjectBlobStore({
      objects: opened.objects,
      metadata: opened.metadata,
      settings: testSettings,
      buffers,
      now: () => time,
    }).repository(freshRepository())
  })
  afterEach(async () => {
    assert.deepEqual([buffers.usedBytes, buffers.waiting], [0, 0], 'an upload has kept memory')
    await opened.close()
  })

  async function push(body: Readable, bytes: Buffer, length?: number): Promise<void> {
    await using writer = await blobs.create()
    await writer.write(body, { length })
    const { digest } = await writer.commit({ digest: digestOf(bytes) })
    assert.ok((await buffer((await blobs.open(digest)).stream)).equals(bytes))
  }

  it('is enough for many uploads at once, when there is room for two parts only', async () => {
    const contents = Array.from({ length: 30 }, (_, index) => randomBytes((index % 7) * 700))
    await Promise.all(
      contents.map((bytes, index) =>
        push(Readable.from([bytes]), bytes, index % 2 === 0 ? undefined : bytes.length),
      ),
    )
  })

  it('is no more than a body of known length needs', async () => {
    const body = new PassThrough()
    const pushed = push(body, Buffer.from('0123456789'), 10)
    await until(() => buffers.usedBytes > 0)
    assert.equal(buffers.usedBytes, 10)
    body.end('0123456789')
    await pushed
  })

  it('is not taken by an upload without bytes', async () => {
    await using writer = await blobs.create()
    using _all = await buffers.take(2 * partSizeBytes)
    assert.equal(await writer.write(Readable.from([]), { length: 0 }), 0)
  })

  it('is waited for before the body is read, and that ends with the client', async () => {
    await using writer = await blobs.create()
    using _all = await buffers.take(2 * partSizeBytes)
    const body = new PassThrough()
    body.write('unread')
    const leaving = new AbortController()
    const written = writer.write(body, { signal: leaving.signal })
    await until(() => buffers.waiting === 1)
    assert.equal(body.readableLength, 6)
    leaving.abort(new Error('gone'))
    await assert.rejects(written, /gone/)
    assert.equal(writer.offset, 0)
  })

  it('is given up by a slow upload when others wait for it, and nothing is lost', async () => {
    const slow = randomBytes(2 * partSizeBytes + 300)
    const bodies = [new PassThrough(), new PassThrough()]
    const slowPushes = bodies.map(body => push(body, slow))
    for (const body of bodies) body.write(slow.subarray(0, 100))
    await until(
      () => buffers.usedBytes === 2 * partSizeBytes && bodies.every(body => body.readableLength === 0),
    )

    const quick = randomBytes(partSizeBytes)
    const quickPush = push(Readable.from([quick]), quick)
    await until(() => buffers.waiting === 1)
    time += partHoldMs
    for (const body of bodies) body.write(slow.subarray(100, 200))
    await quickPush
    for (const body of bodies) body.end(slow.subarray(200))
    await Promise.all(slowPushes)
  })
})

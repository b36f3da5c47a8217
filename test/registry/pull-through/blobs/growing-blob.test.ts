import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  GrowingBlob,
  type GrowingBlobOptions,
} from '../../../../src/registry/pull-through/blobs/growing-blob.ts'
import type { GrowingReader } from '../../../../src/registry/pull-through/blobs/growing-reader.ts'
import { GrowingStream } from '../../../../src/registry/pull-through/blobs/growing-stream.ts'
import { digestOf } from '../../../../src/storage/digest.ts'
import type { ByteRange } from '../../../../src/storage/objects/object-store.ts'
import { Spool } from '../../../../src/storage/spool/spool.ts'
import type { SpoolFile } from '../../../../src/storage/spool/spool-file.ts'
import { openFilesBelow } from '../../../support/open-files.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'

const bytes = randomBytes(100_000)
const blob = { digest: digestOf(bytes), size: bytes.length }
const memory = (): Buffer => Buffer.alloc(10_000)
const nowhere = (): Promise<never> => Promise.reject(new Error('nothing is stored'))

describe('GrowingBlob', { timeout: 60_000 }, () => {
  let directory: TemporaryDirectory
  let spool: Spool
  beforeEach(async () => {
    directory = await temporaryDirectory()
    const freeBytes = (): Promise<number> => Promise.resolve(Number.POSITIVE_INFINITY)
    spool = await Spool.open({ directory: directory.path, maxBytes: 1e6, downloads: 8, freeBytes })
  })
  afterEach(async () => {
    await spool[Symbol.asyncDispose]()
    assert.deepEqual(openFilesBelow(directory.path), [])
    await directory.remove()
  })

  async function file(): Promise<SpoolFile> {
    const place = await spool.reserve(blob.size)
    assert.ok(place)
    return place.file
  }

  const growingBlob = (options: Partial<GrowingBlobOptions> = {}): GrowingBlob =>
    new GrowingBlob({ blob, windowBytes: 20_000, slowReadersMs: 0, ...options })

  async function appendAll(growing: GrowingBlob, from = 0): Promise<void> {
    for (let at = from; at < bytes.length; at += 5000) await growing.append(bytes.subarray(at, at + 5000))
    growing.complete()
  }

  async function readAll(reader: GrowingReader): Promise<Buffer | 'gone'> {
    const chunks: Uint8Array[] = []
    for (;;) {
      const chunk = await reader.next(memory)
      if (chunk === 'gone') return 'gone'
      if (chunk === 'end') return Buffer.concat(chunks)
      chunks.push(Buffer.from(chunk))
    }
  }

  it('is read from anywhere while it grows, from the file and from memory', async () => {
    await using growing = growingBlob({ file: await file() })
    const readers = [0, 1, 50_000, 99_999].map(position => growing.attach(position, 'patient'))
    const reading = readers.map(readAll)
    await appendAll(growing)
    const late = await readAll(growing.attach(0, 'patient'))
    for (const [index, got] of (await Promise.all(reading)).entries())
      assert.ok(got !== 'gone' && got.equals(bytes.subarray([0, 1, 50_000, 99_999][index])))
    assert.ok(late !== 'gone' && late.equals(bytes))
  })

  it('goes on in memory when its file cannot be written any more', async () => {
    const disk = await file()
    await using growing = growingBlob({ file: disk, slowReadersMs: 60_000 })
    const reading = readAll(growing.attach(0, 'patient'))
    await growing.append(bytes.subarray(0, 50_000))
    while (!growing.has(0)) await sleep(1)
    await sleep(20)
    await disk.break()
    await appendAll(growing, 50_000)
    const got = await reading
    assert.ok(got !== 'gone' && got.equals(bytes))
    assert.equal(growing.has(0), false)
    assert.equal(await readAll(growing.attach(0, 'patient')), 'gone')
  })

  it('waits for the reader that is needed, however long that takes', async () => {
    await using growing = growingBlob()
    const needed = growing.attach(0, 'needed')
    using _client = growing.attach(99_999, 'patient')
    let isDone = false
    const appending = appendAll(growing).then(() => {
      isDone = true
    })
    await sleep(30)
    assert.equal(isDone, false)
    assert.ok(growing.written <= 25_000)
    const got = await readAll(needed)
    assert.ok(got !== 'gone' && got.equals(bytes))
    await appending
  })

  it('lets slow clients miss what it has no room for, when it has waited for them long enough', async () => {
    await using growing = growingBlob({ slowReadersMs: 40 })
    const slow = growing.attach(0, 'patient')
    await appendAll(growing)
    assert.equal(await readAll(slow), 'gone')
  })

  it('waits for a first client as for a slow one', async () => {
    await using growing = growingBlob({ slowReadersMs: 60_000 })
    const appending = appendAll(growing)
    await sleep(20)
    const got = await readAll(growing.attach(0, 'patient'))
    assert.ok(got !== 'gone' && got.equals(bytes))
    await appending
  })

  it('fails all its readers with what it has failed with', async () => {
    await using growing = growingBlob({ file: await file() })
    const readers = [growing.attach(0, 'patient'), growing.attach(90_000, 'patient')]
    await growing.append(bytes.subarray(0, 10))
    const failure = new Error('upstream has broken off')
    growing.fail(failure)
    growing.complete()
    for (const reader of readers) await assert.rejects(readAll(reader), failure)
    assert.equal(growing.has(0), false)
  })

  it('sends who has read nothing yet elsewhere when it goes no further, and breaks off who has', async () => {
    await using growing = growingBlob({ file: await file() })
    await growing.append(bytes.subarray(0, 60_000))
    const goOn = (range: ByteRange): Promise<Readable> =>
      Promise.resolve(Readable.from([bytes.subarray(range.first, range.last + 1)]))
    const [begun, late] = [10, 70_000].map(
      first => new GrowingStream(growing.attach(first, 'patient'), blob.size - 1, goOn),
    )
    assert.ok(begun && late)
    growing.goNoFurther()
    assert.ok((await buffer(late)).equals(bytes.subarray(70_000)))
    // What it was sent may be wrong, though what is stored elsewhere is right.
    await assert.rejects(buffer(begun), { name: 'AbortError' })
  })

  it('sends who was too slow elsewhere, when all has turned out to be right', async () => {
    await using growing = growingBlob()
    await growing.append(bytes.subarray(0, 5000))
    const goOn = (range: ByteRange): Promise<Readable> =>
      Promise.resolve(Readable.from([bytes.subarray(range.first, range.last + 1)]))
    const stream = new GrowingStream(growing.attach(0, 'patient'), blob.size - 1, goOn)
    const got: Buffer[] = []
    await stream.copyTo(async chunk => {
      got.push(Buffer.from(chunk))
      if (got.length === 1) await appendAll(growing, 5000)
    })
    assert.ok(Buffer.concat(got).equals(bytes))
    assert.equal(got[1]?.length, 95_000)
  })

  it('tells when the last reader has left, once there was a client', async () => {
    let deserted = 0
    const onDeserted = (): void => {
      deserted += 1
    }
    await using growing = growingBlob({ onDeserted })
    growing.attach(0, 'needed')[Symbol.dispose]()
    assert.equal(deserted, 0)
    const [one, other] = [growing.attach(0, 'patient'), growing.attach(0, 'patient')]
    one.next(memory).catch(() => {})
    one[Symbol.dispose]()
    one[Symbol.dispose]()
    assert.equal(deserted, 0)
    other[Symbol.dispose]()
    assert.equal(deserted, 1)
    assert.ok(growing.isDeserted)
  })

  it('lets go of who stops waiting', async () => {
    await using growing = growingBlob()
    const stop = new AbortController()
    const waiting = growing.attach(0, 'patient').next(memory, { signal: stop.signal })
    stop.abort()
    await assert.rejects(waiting, { name: 'AbortError' })
    assert.equal(getEventListeners(stop.signal, 'abort').length, 0)
  })

  it('streams a range, into memory that is used again where the taker can do with that', async () => {
    await using growing = growingBlob({ file: await file() })
    await appendAll(growing)
    const got: Buffer[] = []
    const stream = new GrowingStream(growing.attach(100, 'patient'), 90_000, nowhere)
    await stream.copyTo(chunk => {
      got.push(Buffer.from(chunk))
      return Promise.resolve()
    })
    assert.ok(Buffer.concat(got).equals(bytes.subarray(100, 90_001)))
    assert.ok(stream.destroyed)
    assert.equal(growing.readers, 0)
  })

  it('ends a stream that waits when it is destroyed', async () => {
    await using growing = growingBlob()
    for (const isDirect of [true, false]) {
      const stream = new GrowingStream(growing.attach(0, 'patient'), 10, nowhere)
      const copying = isDirect ? stream.copyTo(() => Promise.resolve()) : Promise.resolve(stream.resume())
      await sleep(5)
      stream.destroy()
      if (isDirect) await assert.rejects(copying, { name: 'AbortError' })
      else await new Promise(resolve => stream.once('close', resolve))
      assert.equal(growing.readers, 0)
    }
  })
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { LayerBlob } from '../../../src/importer/layer-blob.ts'
import { Spool, type SpoolPlace } from '../../../src/storage/spool/spool.ts'
import { openFilesBelow } from '../../support/open-files.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const blob = randomBytes(1_000_000)
const failure = new Error('the line is cut')

describe('Spool', { timeout: 60_000 }, () => {
  let directory: TemporaryDirectory
  let free = Number.POSITIVE_INFINITY
  let spool: Spool
  beforeEach(async () => {
    directory = await temporaryDirectory()
    free = Number.POSITIVE_INFINITY
    spool = await openSpool()
  })
  afterEach(async () => {
    await spool[Symbol.asyncDispose]()
    assert.deepEqual(openFilesBelow(directory.path), [])
    await directory.remove()
  })

  const openSpool = (): Promise<Spool> =>
    Spool.open({
      directory: directory.path,
      maxBytes: 4_000_000,
      downloads: 3,
      freeBytes: () => Promise.resolve(free),
    })

  async function placeFor(size = blob.length): Promise<SpoolPlace> {
    const place = await spool.reserve(size)
    assert.ok(place)
    return place
  }

  /** A blob of the spool, and what becomes of it. */
  async function spooled(open: () => Promise<Readable> = () => assert.fail('not asked for again')) {
    const { file } = await placeFor()
    const source = new PassThrough()
    const turn = Promise.withResolvers<void>()
    const reading = new LayerBlob({ file, turn: turn.promise, open })
    const filled = file.fill(source)
    return { file, source, turn: turn.resolve, reading, filled }
  }

  it('removes what a crash has left', async () => {
    writeFileSync(join(directory.path, 'left'), 'x')
    await using _again = await openSpool()
    assert.deepEqual(readdirSync(directory.path), [])
  })

  it('keeps files without a name', async () => {
    const { file } = await placeFor()
    assert.deepEqual(readdirSync(directory.path), [])
    assert.equal(openFilesBelow(directory.path).length, 1)
    await file.break()
    await file.break()
    assert.deepEqual(openFilesBelow(directory.path), [])
  })

  it('takes a quarter of what is free at most', async () => {
    free = 4 * blob.length - 1
    assert.equal(await spool.reserve(blob.length), undefined)
    free += 1
    await placeFor()
    assert.equal(await spool.reserve(blob.length), undefined)
    free *= 2
    await placeFor()
  })

  it('does without when it cannot be written, and takes no room for that', async () => {
    await rm(directory.path, { recursive: true })
    for (let turn = 0; turn < 10; turn += 1) assert.equal(await spool.reserve(4_000_000), undefined)
  })

  it('measures what is free itself', async () => {
    await using real = await Spool.open({ directory: directory.path, maxBytes: 10, downloads: 1 })
    assert.ok(await real.reserve(1))
  })

  it('gives up all files when it is closed', async () => {
    const { reading, source } = await spooled()
    source.write(blob.subarray(0, 1000))
    await spool[Symbol.asyncDispose]()
    assert.deepEqual(openFilesBelow(directory.path), [])
    reading.destroy()
    source.destroy()
  })

  it('is read while it grows', async () => {
    const { source, reading, filled } = await spooled()
    const reader = reading[Symbol.asyncIterator]()
    source.write(blob.subarray(0, 10))
    assert.deepEqual((await reader.next()).value, blob.subarray(0, 10))
    const next = reader.next()
    source.write(blob.subarray(10, 30))
    assert.deepEqual((await next).value, blob.subarray(10, 30))
    source.end(blob.subarray(30))
    await filled
    const rest: Uint8Array[] = []
    for (let chunk = await reader.next(); chunk.done !== true; chunk = await reader.next())
      rest.push(chunk.value as Buffer)
    assert.deepEqual(Buffer.concat(rest), blob.subarray(30))
    assert.deepEqual(openFilesBelow(directory.path), [])
  })

  it('stays broken when it is given up while its last bytes are written', async () => {
    const bytes = Buffer.alloc(3_000_000)
    const { file } = await placeFor(bytes.length)
    await file.fill(
      (async function* () {
        // The write of the only chunk, which takes longer than a turn of the event loop, has begun by then.
        setImmediate(() => void file.break())
        yield bytes
      })(),
    )
    assert.equal(file.complete, false)
    assert.equal(await file.read(0), undefined)
  })

  it('gives its room back when it has been read', async () => {
    for (let turn = 0; turn < 10; turn += 1) {
      const { source, reading } = await spooled()
      source.end(blob)
      assert.deepEqual(await buffer(reading), blob)
    }
  })

  for (const [what, end] of [
    ['a source that fails', (source: PassThrough) => source.destroy(failure)],
    ['a source that ends early', (source: PassThrough) => source.end()],
    ['a source that is closed', (source: PassThrough) => source.destroy()],
    ['a source that sends too much', (source: PassThrough) => source.end(Buffer.alloc(2 * blob.length))],
  ] as const)
    it(`goes on straight from the source after ${what}, when its turn comes`, async () => {
      let asked = 0
      const { file, source, reading, turn, filled } = await spooled(() => {
        asked += 1
        return Promise.resolve(
          Readable.from([blob.subarray(0, 1), blob.subarray(1, 2000), blob.subarray(2000)]),
        )
      })
      const reader = reading[Symbol.asyncIterator]()
      source.write(blob.subarray(0, 1000))
      const first = (await reader.next()).value as Buffer
      end(source)
      await filled
      assert.equal(file.complete, false)
      assert.deepEqual(openFilesBelow(directory.path), [])
      const next = reader.next()
      await new Promise(resolve => setImmediate(resolve))
      assert.equal(asked, 0)
      turn()
      const chunks = [first, (await next).value as Buffer]
      for (let chunk = await reader.next(); chunk.done !== true; chunk = await reader.next())
        chunks.push(chunk.value as Buffer)
      assert.deepEqual(Buffer.concat(chunks), blob)
      assert.equal(asked, 1)
    })

  it('fails as the source does when that fails twice', async () => {
    for (const again of [
      () => Promise.reject(failure),
      () =>
        Promise.resolve(
          new Readable({
            read() {
              this.destroy(failure)
            },
          }),
        ),
    ]) {
      const { source, reading, turn } = await spooled(again)
      turn()
      source.destroy(new Error('the first one'))
      await assert.rejects(buffer(reading), failure)
      assert.deepEqual(openFilesBelow(directory.path), [])
    }
  })

  for (const moment of [
    'before anything',
    'while it waits for bytes',
    'while it waits for its turn',
    'in the second try',
  ] as const)
    it(`lets go of everything when it is destroyed ${moment}`, async () => {
      const straight = new PassThrough()
      const { source, reading, turn, filled } = await spooled(() => Promise.resolve(straight))
      if (moment !== 'before anything') {
        reading.resume()
        source.write('x')
      }
      if (moment === 'while it waits for its turn' || moment === 'in the second try') {
        source.destroy(failure)
        await filled
      }
      if (moment === 'in the second try') turn()
      await new Promise(resolve => setTimeout(resolve, 5))
      reading.destroy()
      await new Promise(resolve => reading.once('close', resolve))
      assert.deepEqual(openFilesBelow(directory.path), [])
      if (moment === 'in the second try') assert.ok(straight.destroyed)
      source.destroy()
      await filled
    })
})

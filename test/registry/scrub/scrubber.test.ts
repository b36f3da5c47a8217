import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { parseWindow } from '../../../src/registry/collect/window.ts'
import type { CheckedFault } from '../../../src/registry/scrub/check-blob.ts'
import { Scrubber, type ScrubberSettings } from '../../../src/registry/scrub/scrubber.ts'
import { type Digest, type DigestAlgorithm, digestOf } from '../../../src/storage/digest.ts'
import type { StoredBlob } from '../../../src/storage/metadata/blob-records.ts'
import { newObjectKey, type ObjectKey } from '../../../src/storage/objects/keys.ts'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import type { ObjectStore } from '../../../src/storage/objects/object-store.ts'
import type { OpenedMetadata } from '../../contract/metadata.ts'
import { openSqliteTwice } from '../../support/open-metadata.ts'
import { freshRepository, newUpload } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { testScrubSettings } from '../../support/scrub.ts'

type Get = ObjectStore['get']

interface ScrubbedStore extends Pick<ObjectStore, 'head' | 'get' | 'ping'> {
  list: ObjectStore['list']
}

const dayMs = 24 * 60 * 60 * 1000
const unavailable = (message = 'The test lets the store fail.', cause?: unknown) =>
  new DomainError('unavailable', message, { resource: 'object' }, { cause })

describe('A scrub', () => {
  const clock = { time: Date.UTC(2026, 0, 1) }
  const repository = freshRepository()
  let opened: OpenedMetadata
  let memory: MemoryObjectStore
  let objects: ScrubbedStore
  /** Stands in for `get`, once it is set. */
  let get: ((key: ObjectKey, next: Get) => ReturnType<Get>) | undefined
  let pings: () => void
  let faults: CheckedFault[]
  beforeEach(async () => {
    opened = await openSqliteTwice(() => clock.time)
    memory = new MemoryObjectStore(() => clock.time)
    get = undefined
    faults = []
    pings = () => {}
    const plain: Get = (key, options) => memory.get(key, options)
    objects = {
      head: (key, options) => memory.head(key, options),
      get: (key, options) => get?.(key, (_, more) => plain(key, more)) ?? plain(key, options),
      list: (prefix, options) => memory.list(prefix, options),
      ping: async () => pings(),
    }
  })
  afterEach(() => opened.close())

  const keptStrays: number[] = []
  function scrubber(change: Partial<ScrubberSettings> = {}, holder = 'test'): Scrubber {
    return new Scrubber({
      records: opened.metadata,
      objects,
      holder,
      settings: { ...testScrubSettings, ...change },
      onFault: fault => faults.push(fault),
      onTooManyStrays: count => keptStrays.push(count),
      now: () => clock.time,
    })
  }
  const everything = { begins: true, takesAll: false, bytesPerSecond: 0 }

  async function push(bytes: Buffer, algorithm: DigestAlgorithm = 'sha256'): Promise<StoredBlob> {
    const upload = newUpload(repository, clock.time)
    await opened.metadata.createUpload(upload)
    await memory.put(upload.objectKey, bytes)
    const digest = digestOf(bytes, algorithm)
    return await opened.metadata.commitBlob({ ...upload, digest, size: bytes.length, uploadId: upload.id })
  }
  const pushMany = async (count: number): Promise<StoredBlob[]> => {
    const blobs: StoredBlob[] = []
    for (let index = 0; index < count; index++) blobs.push(await push(randomBytes(100)))
    return blobs.sort((one, other) => (one.digest < other.digest ? -1 : 1))
  }
  const found = async (): Promise<Digest[]> =>
    (await opened.metadata.listFaults(undefined, 1000)).map(({ digest }) => digest)
  const flip = async ({ objectKey }: StoredBlob): Promise<void> => {
    const { stream } = await memory.get(objectKey)
    const bytes = Buffer.concat(await stream.toArray())
    bytes[0] = (bytes[0] ?? 0) ^ 1
    await memory.put(objectKey, bytes)
  }

  it('finds each kind of damage and nothing else, by each algorithm', async () => {
    const sound = [await push(Buffer.alloc(0)), await push(randomBytes(99), 'sha512'), ...(await pushMany(9))]
    const [flipped, longer, shorter, gone, one, other] = await pushMany(6)
    if (!flipped || !longer || !shorter || !gone || !one || !other) assert.fail()
    const wide = await push(randomBytes(50), 'sha512')
    await flip(flipped)
    await flip(wide)
    await memory.put(longer.objectKey, randomBytes(101))
    await memory.put(shorter.objectKey, Buffer.alloc(0))
    await memory.delete([gone.objectKey])
    const [first, second] = await Promise.all(
      [one, other].map(async blob =>
        Buffer.concat(await (await memory.get(blob.objectKey)).stream.toArray()),
      ),
    )
    if (!first || !second) assert.fail()
    await memory.put(one.objectKey, second)
    await memory.put(other.objectKey, first)

    const report = await scrubber().tick()
    const bad = [flipped, longer, shorter, gone, one, other, wide].map(({ digest }) => digest).sort()
    assert.deepEqual(await found(), bad)
    assert.deepEqual(
      [report.outcome, report.blobs, report.corrupt, report.missing, report.unsettled],
      ['done', sound.length + bad.length, 6, 1, 0],
    )
    assert.deepEqual(faults.map(({ blob }) => blob.digest).sort(), bad)
    for (const { digest } of sound) assert.ok(await opened.metadata.findBlob(repository, digest))
    const { totals, place, endedAt, pass } = await opened.metadata.scrubState()
    assert.deepEqual(
      [totals.blobs, totals.corrupt, totals.missing, place, endedAt?.getTime(), pass.blobs],
      [report.blobs, 6, 1, null, clock.time, report.blobs],
    )
    // Whoever looks again finds no more.
    assert.deepEqual((await scrubber().tick({ asked: everything })).corrupt, 0)
    assert.equal(faults.length, 7)
  })

  it('begins a pass when it is time, and heals what is right again', async () => {
    const [blob] = await pushMany(1)
    if (!blob) assert.fail()
    const bytes = Buffer.concat(await (await memory.get(blob.objectKey)).stream.toArray())
    await memory.delete([blob.objectKey])
    assert.equal((await scrubber().tick()).missing, 1)
    await memory.put(blob.objectKey, bytes)
    clock.time += testScrubSettings.everyMs - 1
    assert.equal((await scrubber().tick()).blobs, 0)
    clock.time += 1
    const { blobs, healed } = await scrubber().tick()
    assert.deepEqual([blobs, healed, await found()], [1, 1, []])
    assert.ok(await opened.metadata.findBlob(repository, blob.digest))
  })

  it('takes no outage for damage, and goes on where it was', async () => {
    const blobs = await pushMany(12)
    for (const failure of ['get', 'stream', 'ping'] as const) {
      let left = 5
      pings = () => {
        if (left <= 0) throw unavailable()
      }
      get = async (key, next) => {
        left -= 1
        if (left > 0) return await next(key)
        if (failure === 'ping') throw new DomainError('not_found', 'It says so.', { resource: 'object' })
        if (failure === 'get') throw unavailable()
        const info = await next(key)
        return {
          ...info,
          stream: Readable.from(
            (async function* () {
              yield Buffer.alloc(1)
              throw unavailable('cut')
            })(),
          ),
        }
      }
      await rejectsWith('unavailable', scrubber().tick({ asked: everything }))
      assert.deepEqual(await found(), [])
    }
    get = undefined
    pings = () => {}
    const { outcome } = await scrubber().tick()
    assert.equal(outcome, 'done')
    assert.ok((await opened.metadata.scrubState()).totals.blobs >= blobs.length)
    assert.deepEqual(await found(), [])
  })

  it('passes over one object that cannot be read, but not over many', async () => {
    const [, broken, ...rest] = await pushMany(9)
    get = async (key, next) => {
      if (key === broken?.objectKey) throw unavailable()
      return await next(key)
    }
    const report = await scrubber().tick()
    assert.deepEqual([report.outcome, report.unsettled, report.blobs], ['done', 1, 9])
    assert.deepEqual(await found(), [])
    get = async (key, next) => {
      if (key === rest[0]?.objectKey) return await next(key)
      throw unavailable()
    }
    await rejectsWith('unavailable', scrubber().tick({ asked: everything }))
    assert.deepEqual(await found(), [])
  })

  it('believes what it has seen twice alike, and nothing that was seen once', async () => {
    const [flaky, wild, bad, unsure] = await pushMany(4)
    if (!flaky || !wild || !bad || !unsure) assert.fail()
    const reads = new Map<ObjectKey, number>()
    get = async (key, next) => {
      const count = (reads.get(key) ?? 0) + 1
      reads.set(key, count)
      const wrong = async (byte: number) => ({
        ...(await next(key)),
        stream: Readable.from([Buffer.alloc(100, byte)]),
      })
      if (key === flaky.objectKey && count === 1) return await wrong(1)
      if (key === wild.objectKey) return await wrong(count)
      if (key === bad.objectKey)
        throw unavailable('bad block', Object.assign(new Error('x'), { code: 'EIO' }))
      // It says that it has it, when it is asked otherwise.
      if (key === unsure.objectKey) throw new DomainError('not_found', 'No.', { resource: 'object' })
      return await next(key)
    }
    const report = await scrubber().tick()
    assert.deepEqual(await found(), [bad.digest])
    assert.deepEqual([report.unsettled, report.corrupt, report.missing], [2, 1, 0])
    assert.match(faults[0]?.detail ?? '', /EIO/)
    assert.deepEqual([reads.get(flaky.objectKey), reads.get(wild.objectKey)], [2, 3])
  })

  it('an object that is missing for a moment is not', async () => {
    const [blob] = await pushMany(1)
    if (!blob) assert.fail()
    const bytes = Buffer.concat(await (await memory.get(blob.objectKey)).stream.toArray())
    await memory.delete([blob.objectKey])
    let looks = 0
    pings = () => {}
    get = async (key, next) => {
      looks += 1
      if (looks === 2) await memory.put(key, bytes)
      return await next(key)
    }
    assert.equal((await scrubber().tick()).missing, 0)
    assert.deepEqual([looks, await found()], [2, []])
  })

  it('stops where too much is missing, says so, and goes on when it is told to', async () => {
    const blobs = await pushMany(40)
    for (const { objectKey } of blobs.slice(3)) await memory.delete([objectKey])
    const report = await scrubber().tick()
    assert.deepEqual([report.outcome, report.missing, report.blobs], ['stopped', 20, 23])
    assert.equal((await found()).length, 20)
    const { pass } = await opened.metadata.scrubState()
    assert.deepEqual([pass.stoppedAt?.getTime(), pass.missing, pass.known], [clock.time, 20, 40])
    assert.deepEqual((await scrubber().tick()).outcome, 'stopped')
    assert.equal((await found()).length, 20)

    const all = await scrubber().tick({ asked: { begins: true, takesAll: true } })
    assert.deepEqual([all.outcome, all.missing, all.blobs], ['done', 17, 17])
    assert.equal((await found()).length, 37)
  })

  it('looks again after a day at a store that lacked too much, and heals all when it was the wrong one', async () => {
    const blobs = await pushMany(30)
    const right = memory
    memory = new MemoryObjectStore(() => clock.time)
    assert.equal((await scrubber().tick()).outcome, 'stopped')
    memory = right
    clock.time += dayMs - 1
    assert.equal((await scrubber().tick()).outcome, 'stopped')
    clock.time += 1
    const { outcome, healed } = await scrubber().tick()
    assert.deepEqual([outcome, healed, await found()], ['done', 20, []])
    assert.equal(blobs.length, 30)
  })

  it('asked to begin anew, it begins a stopped pass from its beginning', async () => {
    await pushMany(30)
    memory = new MemoryObjectStore()
    await scrubber().tick()
    const { number } = (await opened.metadata.scrubState()).pass
    const report = await scrubber().tick({ asked: { begins: true, takesAll: false } })
    assert.deepEqual([report.outcome, report.missing], ['done', 10])
    assert.equal((await opened.metadata.scrubState()).pass.number, number + 1)
  })

  it('broken off amid a pass, it goes on after the last blob that was saved', async () => {
    const blobs = await pushMany(20)
    const leaving = new AbortController()
    let reads = 0
    get = async (key, next) => {
      reads += 1
      if (reads === 8) leaving.abort(new Error('gone'))
      return await next(key)
    }
    await assert.rejects(
      scrubber({ tickMs: 0 })
        .tick({ signal: leaving.signal })
        .then(async () => {
          for (;;) await scrubber({ tickMs: 0 }).tick({ signal: leaving.signal })
        }),
      { message: 'gone' },
    )
    const { place } = await opened.metadata.scrubState()
    assert.deepEqual(place, { phase: 'blobs', after: blobs[6]?.digest })
    reads = 0
    assert.equal((await scrubber({}, 'next').tick()).blobs, 13)
    assert.equal(reads, 13)
  })

  it('rests when it is off, when it is not its time, and while another one is at it', async () => {
    await pushMany(1)
    assert.equal((await scrubber({ bytesPerSecond: 0 }).tick()).outcome, 'off')
    const hour = (new Date(clock.time).getUTCHours() + 1) % 24
    const two = (text: number) => String(text).padStart(2, '0')
    const window = parseWindow(`${two(hour)}:00-${two((hour + 1) % 24)}:00`)
    assert.equal((await scrubber({ window }).tick()).outcome, 'closed')
    await opened.replica.leaseScrub({ holder: 'other', until: new Date(clock.time + 1000) })
    assert.equal((await scrubber().tick({ asked: everything })).outcome, 'elsewhere')
    await opened.replica.releaseScrub('other')
    // Whoever asks for it gets it.
    assert.equal((await scrubber({ bytesPerSecond: 0, window }).tick({ asked: everything })).blobs, 1)
    assert.ok(await opened.replica.leaseScrub({ holder: 'other', until: new Date(clock.time + 1000) }))
  })

  it('a blob that is deleted and pushed again while it is read is not quarantined', async () => {
    for (const kind of ['damaged', 'missing']) {
      const bytes = randomBytes(64)
      const blob = await push(bytes)
      if (kind === 'missing') await memory.delete([blob.objectKey])
      else await flip(blob)
      let reads = 0
      get = async (key, next) => {
        reads += key === blob.objectKey ? 1 : 0
        if (reads === 2 && key === blob.objectKey) {
          reads += 1
          await opened.replica.unlinkBlob(repository, blob.digest)
          await push(bytes)
        }
        return await next(key)
      }
      const report = await scrubber().tick({ asked: everything })
      assert.deepEqual([report.corrupt + report.missing, await found()], [0, []], kind)
      assert.notEqual((await opened.metadata.findBlob(repository, blob.digest)).objectKey, blob.objectKey)
    }
  })

  describe('and objects that nothing names', () => {
    const settled = testScrubSettings.settleMs

    async function stray(bytes: Buffer): Promise<ObjectKey> {
      const key = newObjectKey()
      await memory.put(key, bytes)
      return key
    }
    const strays = async () => (await opened.metadata.listStrays(undefined, 1000)).map(({ key }) => key)

    it('are looked at twice, read, and discarded after a while', async () => {
      await pushMany(3)
      const key = await stray(randomBytes(20))
      const begun = newUpload(repository, clock.time)
      await memory.put(begun.objectKey, randomBytes(10))
      assert.equal((await scrubber().tick()).strays, 0)
      assert.deepEqual((await strays()).sort(), [key, begun.objectKey].sort())
      await opened.metadata.createUpload(begun)
      clock.time += settled
      assert.equal((await scrubber().tick()).strays, 1)
      assert.deepEqual(await strays(), [key])
      clock.time += testScrubSettings.keepStraysMs - settled
      assert.equal((await scrubber().tick()).discarded, 0)
      clock.time += 1
      await opened.metadata.pauseCollection('test')
      assert.equal((await scrubber().tick()).discarded, 0)
      await opened.metadata.resumeCollection()
      assert.equal((await scrubber().tick()).discarded, 1)
      assert.deepEqual(await opened.metadata.listGarbage(10), [key])
    })

    it('are kept where there are more of them than blobs, which may mean the wrong database, until somebody takes all', async () => {
      await pushMany(3)
      const keys = new Set<ObjectKey>()
      for (let count = 0; count < 21; count += 1) keys.add(await stray(randomBytes(20)))
      await scrubber().tick()
      clock.time += settled
      assert.equal((await scrubber().tick()).strays, 21)
      clock.time += testScrubSettings.keepStraysMs
      assert.equal((await scrubber().tick()).discarded, 0)
      assert.equal(keptStrays.at(-1), 21)
      assert.equal((await strays()).length, 21)
      const { discarded } = await scrubber().tick({ asked: { ...everything, takesAll: true } })
      assert.equal(discarded, 21)
      assert.deepEqual(new Set(await opened.metadata.listGarbage(100)), keys)
    })

    it('heal what has lost its object: a blob found missing before, or later, of each algorithm', async () => {
      const texts = [randomBytes(30), randomBytes(30), randomBytes(30)]
      const [before, wide, later] = texts
      if (!before || !wide || !later) assert.fail()
      const blobs = [await push(before), await push(wide, 'sha512'), await push(later)]
      for (const { objectKey } of blobs.slice(0, 2)) await memory.delete([objectKey])
      const keys = await Promise.all([before, wide, later].map(stray))
      assert.equal((await scrubber().tick()).missing, 2)
      clock.time += settled
      const second = await scrubber().tick()
      assert.deepEqual([second.healed, second.strays], [2, 1])
      await memory.delete([blobs[2]?.objectKey ?? assert.fail()])
      const third = await scrubber().tick({ asked: everything })
      assert.deepEqual([third.missing, third.healed], [1, 1])
      assert.deepEqual([await found(), await strays()], [[], []])
      for (const [index, { digest }] of blobs.entries())
        assert.equal((await opened.metadata.findBlob(repository, digest)).objectKey, keys[index])
    })

    it('that are gone, or have been taken up, are forgotten', async () => {
      const [gone, taken] = [await stray(randomBytes(5)), await stray(randomBytes(6))]
      await scrubber().tick()
      await memory.delete([gone])
      await opened.metadata.createUpload(newUpload(repository, clock.time, { objectKey: taken }))
      clock.time += settled
      assert.equal((await scrubber().tick()).strays, 0)
      assert.deepEqual(await strays(), [])
    })

    it('that others have put there are left alone', async () => {
      const all = memory.list.bind(memory)
      objects.list = async function* (prefix, options) {
        yield* all(prefix, options)
        for (const name of ['blobs/readme.txt', 'backups/x', 'other/thing', '/adopted'])
          yield { key: name as ObjectKey, size: 1 }
      }
      await scrubber().tick()
      assert.deepEqual(await strays(), [])
    })
  })
})

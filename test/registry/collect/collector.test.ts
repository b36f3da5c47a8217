import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { Collector, type CollectorSettings } from '../../../src/registry/collect/collector.ts'
import { isInWindow, parseWindow } from '../../../src/registry/collect/window.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import { defaultKeepTimes } from '../../../src/storage/metadata/keep-times.ts'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import type { ObjectKey } from '../../../src/storage/objects/keys.ts'
import type { OpenedMetadata } from '../../contract/metadata.ts'
import { keysIn } from '../../contract/object-store.ts'
import { interceptObjects } from '../../support/intercepted.ts'
import { openSqliteTwice } from '../../support/open-metadata.ts'
import { commitText, freshRepository } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'

const { graceMs, objectDelayMs } = defaultKeepTimes
const settings: CollectorSettings = {
  policy: { untaggedMs: undefined, referrers: 'delete' },
  batch: 3,
  tickMs: 60_000,
  window: undefined,
}

describe('A collector', () => {
  const clock = { time: Date.UTC(2026, 0, 1) }
  const stuck = new Set<ObjectKey>()
  let isDown = false
  let opened: OpenedMetadata
  const objects = new MemoryObjectStore(() => clock.time)
  before(async () => {
    opened = await openSqliteTwice(() => clock.time)
  })
  after(() => opened.close())

  function collector(change: Partial<CollectorSettings> = {}, holder = 'me'): Collector {
    const faulty = {
      ...interceptObjects(objects, (_method, call) => call()),
      delete: async (keys: readonly ObjectKey[]) => {
        const key = keys.find(each => isDown || stuck.has(each))
        if (key !== undefined)
          throw new DomainError('unavailable', `${key} is stuck.`, { resource: 'object', name: key })
        await objects.delete(keys)
      },
    }
    const blobs = new ObjectBlobStore({ objects: faulty, metadata: opened.metadata, now: () => clock.time })
    return new Collector({
      records: opened.metadata,
      sweepGarbage: options => blobs.sweepGarbage(options),
      holder,
      settings: { ...settings, ...change },
      now: () => clock.time,
    })
  }
  async function push(count: number): Promise<ObjectKey[]> {
    const repository = freshRepository()
    const keys: ObjectKey[] = []
    for (let index = 0; index < count; index++) {
      const { objectKey } = await commitText(
        opened.metadata,
        repository,
        `${repository} ${index}`,
        clock.time,
      )
      await objects.put(objectKey, Buffer.from('x'))
      keys.push(objectKey)
    }
    return keys
  }

  it('goes on until nothing is due, in small steps', async () => {
    await push(10)
    clock.time += graceMs
    const { outcome, links, blobs, objects: deleted } = await collector().tick()
    assert.deepEqual([outcome, links, blobs, deleted], ['done', 10, 10, 0])
    clock.time += objectDelayMs
    assert.equal((await collector().tick()).objects, 10)
    assert.deepEqual(await keysIn(objects), [])
  })

  it('ends when its time is over, and says that there is more', async () => {
    await push(2)
    clock.time += graceMs
    assert.equal((await collector({ tickMs: 0 }).tick()).outcome, 'more')
    assert.equal((await collector().tick()).links, 2)
    clock.time += objectDelayMs
    await collector().tick()
  })

  it('deletes all objects but those that cannot be deleted, and these later', async () => {
    const keys = await push(8)
    clock.time += graceMs
    await collector().tick()
    clock.time += objectDelayMs
    for (const key of keys.slice(0, 3)) stuck.add(key)
    const first = await collector().tick()
    assert.deepEqual([first.objects, first.failures.length], [5, 3])
    assert.deepEqual(new Set(await keysIn(objects)), stuck)
    const other = await push(1)
    clock.time += graceMs
    await collector().tick()
    clock.time += objectDelayMs
    assert.deepEqual((await collector().tick()).objects, 1, 'what came later does not wait for them')
    assert.ok(!(await keysIn(objects)).includes(other[0] ?? assert.fail()))
    stuck.clear()
    assert.deepEqual((await collector().tick()).objects, 3)
    assert.deepEqual(await opened.metadata.listGarbage(9), [])
  })

  it('is the only one that deletes objects of blobs, so that none goes while it is paused', async () => {
    const keys = await push(2)
    clock.time += graceMs
    await collector().tick()
    clock.time += objectDelayMs
    await opened.metadata.pauseCollection('me')
    const blobs = new ObjectBlobStore({ objects, metadata: opened.metadata, now: () => clock.time })
    assert.equal((await blobs.sweepUploads(new Date(clock.time))).objects, 0)
    assert.deepEqual(new Set(await keysIn(objects)), new Set(keys))
    await opened.metadata.resumeCollection()
    assert.equal((await collector().tick()).objects, 2)
  })

  it('stops deleting objects when it is paused, and when its time is over', async () => {
    await push(2001)
    clock.time += graceMs
    await collector({ batch: 500 }).tick()
    clock.time += objectDelayMs
    const first = await collector({ tickMs: 0 }).tick()
    assert.deepEqual([first.outcome, first.objects], ['more', 1000])
    let isPaused = false
    const records = new Proxy(opened.metadata, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (name !== 'forgetGarbage' || typeof value !== 'function') return value
        return async (...args: unknown[]): Promise<unknown> => {
          isPaused = true
          await target.pauseCollection('me')
          return Reflect.apply(value, target, args)
        }
      },
    })
    const blobs = new ObjectBlobStore({ objects, metadata: records, now: () => clock.time })
    const second = await new Collector({
      records: opened.metadata,
      sweepGarbage: options => blobs.sweepGarbage(options),
      holder: 'other',
      settings,
      now: () => clock.time,
    }).tick()
    assert.ok(isPaused)
    assert.deepEqual([second.outcome, second.objects], ['paused', 1000])
    await opened.metadata.resumeCollection()
    assert.equal((await collector().tick()).objects, 1)
  })

  it('loses nothing when the object store is away', async () => {
    await push(50)
    clock.time += graceMs
    isDown = true
    await collector().tick()
    clock.time += objectDelayMs
    const { outcome, failures, objects: deleted } = await collector().tick()
    assert.deepEqual([outcome, deleted], ['done', 0])
    assert.ok(failures.length > 0 && failures.length < 50)
    isDown = false
    assert.equal((await collector().tick()).objects, 50)
  })

  it('leaves the work to another one who is at it, until that one’s lease is over', async () => {
    await push(1)
    clock.time += graceMs
    await opened.replica.leaseCollection({ holder: 'other', until: new Date(clock.time + 1000) })
    assert.equal((await collector().tick()).outcome, 'elsewhere')
    clock.time += 1000
    assert.deepEqual((await collector().tick()).links, 1)
    assert.ok(await opened.replica.leaseCollection({ holder: 'other', until: new Date(clock.time) }))
    await opened.replica.releaseCollection('other')
  })

  it('rests while it is paused, and outside of its window unless it is told not to', async () => {
    await push(1)
    clock.time += graceMs
    await opened.replica.pauseCollection('x')
    assert.equal((await collector().tick({ ignoresWindow: true })).outcome, 'paused')
    await opened.replica.resumeCollection()
    const hour = new Date(clock.time).getUTCHours()
    const window = parseWindow(
      `${String((hour + 1) % 24).padStart(2, '0')}:00-${String((hour + 2) % 24).padStart(2, '0')}:00`,
    )
    assert.equal((await collector({ window }).tick()).outcome, 'closed')
    assert.equal((await collector({ window }).tick({ ignoresWindow: true })).links, 1)
  })

  it('ends at once for a caller who has gone, and gives its lease up', async () => {
    const leaving = new AbortController()
    const broken = collector()
    const tick = broken.tick({ signal: leaving.signal })
    leaving.abort(new Error('gone'))
    await assert.rejects(tick, { message: 'gone' })
    assert.notEqual((await collector({}, 'next').tick()).outcome, 'elsewhere')
  })

  it('tells of a database that is away', async () => {
    const failing = new Collector({
      records: {
        ...opened.metadata,
        reviewLinks: () =>
          Promise.reject(new DomainError('unavailable', 'It is away.', { resource: 'database' })),
      },
      sweepGarbage: async () => ({ objects: 0, failures: [], isDone: true }),
      holder: 'failing',
      settings,
      now: () => clock.time,
    })
    await rejectsWith('unavailable', failing.tick())
    assert.notEqual((await collector({}, 'next').tick()).outcome, 'elsewhere')
  })
})

describe('A window', () => {
  const at = (text: string) => new Date(`2026-01-01T${text}:00Z`)
  for (const [window, inside, outside] of [
    ['01:00-05:30', ['01:00', '05:29'], ['00:59', '05:30', '23:00']],
    ['22:00-06:00', ['22:00', '23:59', '00:00', '05:59'], ['06:00', '21:59']],
    ['03:00-03:00', ['03:00', '02:59', '12:00'], []],
  ] as const)
    it(`${window} is open from its beginning to its end`, () => {
      for (const time of inside) assert.ok(isInWindow(parseWindow(window), at(time)), time)
      for (const time of outside) assert.ok(!isInWindow(parseWindow(window), at(time)), time)
    })
})

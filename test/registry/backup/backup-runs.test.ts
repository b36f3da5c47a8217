import assert from 'node:assert/strict'
import { DomainError } from '../../../src/errors.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { BackupRuns, type BackupRunsParts } from '../../../src/registry/backup/backup-runs.ts'
import { LongRun } from '../../../src/registry/backup/long-run.ts'
import { BackupStore } from '../../../src/storage/backups/backup-store.ts'
import type { MetadataSnapshot } from '../../../src/storage/metadata/backup/snapshot.ts'
import { openSqliteSnapshot } from '../../../src/storage/metadata/backup/sqlite-snapshot.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import { backupKey, newBackupId } from '../../../src/storage/objects/keys.ts'
import { failsWith } from '../../support/backup-content.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const hourMs = 3_600_000

describe('Backups that are made regularly', () => {
  const stack = new AsyncDisposableStack()
  let now = Date.now()
  let metadata: Metadata
  let path: string
  before(async () => {
    const directory = stack.use(await temporaryDirectory())
    path = join(directory.path, 'varve.db')
    metadata = stack.use(await openSqliteMetadata(path, { now: () => now }))
  })
  after(() => stack.disposeAsync())

  function setUp(objects = new MemoryObjectStore(), instance = 'here') {
    const backups = new BackupStore({ objects, version: '1', now: () => now })
    const runs = (
      holder: string,
      more: Partial<Pick<BackupRunsParts, 'openSnapshot' | 'leaseMs' | 'records' | 'onDeletionFailure'>> & {
        keep?: number
      } = {},
    ) =>
      new BackupRuns({
        records: more.records ?? metadata,
        leaseMs: more.leaseMs,
        onDeletionFailure: more.onDeletionFailure,
        backups,
        openSnapshot: more.openSnapshot ?? (options => openSqliteSnapshot(path, options)),
        holder,
        instance,
        settings: { everyMs: 24 * hourMs, keep: more.keep ?? 3 },
        now: () => now,
      })
    return { objects, backups, runs }
  }

  it('are made when the newest is old enough, and the oldest go', async () => {
    const { backups, runs } = setUp()
    const one = runs('one')
    const made: string[] = []
    for (let hour = 0; hour < 24 * 5; hour += 6) {
      const { outcome, newest, deleted } = await one.tick()
      if (outcome === 'made') made.unshift(newest?.id ?? '')
      assert.equal(outcome, hour % 24 === 0 ? 'made' : 'not due')
      assert.equal(newest?.id, made[0])
      assert.equal(deleted, hour % 24 === 0 && made.length > 3 ? 1 : 0)
      now += 6 * hourMs
    }
    assert.deepEqual(
      (await backups.list()).map(({ id }) => id),
      made.slice(0, 3),
    )
  })

  it('go on when one was made by a clock that was wrong, and once only in their time', async () => {
    const { backups, runs } = setUp()
    const right = now
    now += 10 * 365 * 24 * hourMs
    await runs('one').run()
    now = right
    assert.equal((await runs('one').tick()).outcome, 'made')
    assert.equal((await runs('one').tick()).outcome, 'not due')
    now += 24 * hourMs
    assert.equal((await runs('one').tick()).outcome, 'made')
    assert.equal((await backups.list()).length, 3)
  })

  it('by a clock that was wrong go first, and never one that was just made', async () => {
    const { backups, runs } = setUp()
    const right = now
    now += 10 * 365 * 24 * hourMs
    const wrong = []
    for (let count = 0; count < 2; count += 1) {
      wrong.push((await runs('one').run()).id)
      now += 24 * hourMs
    }
    now = right
    const made = await runs('one', { keep: 1 }).tick()
    assert.deepEqual([made.outcome, made.deleted], ['made', 2])
    assert.deepEqual(
      (await backups.list()).map(({ id }) => id),
      [made.newest?.id],
    )
    assert.equal((await runs('one', { keep: 1 }).tick()).outcome, 'not due')
  })

  it('are never deleted as soon as they are made: not in the same second, nor beside one of a clock that is ahead', async () => {
    const { backups, runs } = setUp()
    const one = runs('one', { keep: 1 })
    for (let count = 0; count < 8; count += 1) {
      const made = await one.run()
      assert.deepEqual(
        (await backups.list()).map(({ id }) => id),
        [made.id],
      )
      now += 1
    }
    now += 10 * 60_000
    await one.run()
    now -= 10 * 60_000
    const made = await one.run()
    assert.ok((await backups.list()).some(({ id }) => id === made.id))
  })

  it('are of the moment before their snapshot: what was acknowledged until then is in it', async () => {
    const { runs } = setUp()
    const begun = now
    const openSnapshot: BackupRunsParts['openSnapshot'] = async options => {
      const snapshot = await openSqliteSnapshot(path, options)
      now += 5 * 60_000
      return snapshot
    }
    assert.equal((await runs('one', { openSnapshot }).run()).madeAt.getTime(), begun)
  })

  it('are made although old ones cannot be deleted, and say so', async () => {
    const objects = new MemoryObjectStore()
    const { backups, runs } = setUp(objects)
    const failures: string[] = []
    const one = runs('one', { keep: 1, onDeletionFailure: ({ message }) => failures.push(message) })
    await one.run()
    objects.delete = async () => {
      throw new DomainError('denied', 'Nobody may delete.', { resource: 'object' })
    }
    now += 24 * hourMs
    assert.equal((await one.tick()).outcome, 'made')
    assert.deepEqual(failures, ['Nobody may delete.'])
    assert.equal((await backups.list()).length, 2)
  })

  it('that are all kept leave alone what is half there: somebody may be copying it', async () => {
    const objects = new MemoryObjectStore()
    const { runs } = setUp(objects)
    const half = backupKey(newBackupId(new Date(now - 48 * hourMs)), 'data')
    await objects.put(half, Buffer.from('half'))
    await runs('one', { keep: 0 }).run()
    assert.equal((await objects.head(half)).size, 4)
    await runs('one', { keep: 1 }).run()
    await rejectsWith('not_found', objects.head(half))
  })

  it('of another registry in the same bucket are neither counted nor deleted', async () => {
    const { objects, backups, runs } = setUp()
    const other = new BackupStore({ objects, version: '1', now: () => now })
    await using snapshot = await openSqliteSnapshot(path)
    for (let count = 0; count < 5; count += 1) await other.write(snapshot, 'another registry')
    assert.equal((await runs('one', { keep: 1 }).tick()).outcome, 'made')
    now += 1000
    await runs('one', { keep: 1 }).run()
    assert.equal((await backups.list()).length, 6)
  })

  it('are made by one process at a time, and by another when that has died', async () => {
    const { runs } = setUp()
    const gate = Promise.withResolvers<void>()
    const first = runs('one', {
      openSnapshot: async () => {
        await gate.promise
        return await openSqliteSnapshot(path)
      },
    }).run()
    await until(() => metadata.isBackupLeased())
    assert.equal((await runs('two').tick()).outcome, 'elsewhere')
    await failsWith('busy', /Another process makes a backup/, runs('two').run())
    gate.resolve()
    await first
    assert.equal(await metadata.isBackupLeased(), false)
    await metadata.leaseBackup({ holder: 'dead', until: new Date(now + 1000) })
    await failsWith('busy', /Another process/, runs('two').run())
    now += 2000
    await runs('two').run()
  })

  it('end when another process has taken the lease, and say so', async () => {
    const { backups, runs } = setUp()
    let leases = 0
    const records: BackupRunsParts['records'] = {
      agreeOn: (...args) => metadata.agreeOn(...args),
      isBackupLeased: options => metadata.isBackupLeased(options),
      releaseBackup: (...args) => metadata.releaseBackup(...args),
      leaseBackup: async () => ++leases === 1,
    }
    const openSnapshot = ({ signal }: { signal?: AbortSignal | undefined }): Promise<MetadataSnapshot> =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
      })
    await failsWith(
      'busy',
      /Another process has taken the backup over/,
      runs('one', { records, leaseMs: 40, openSnapshot }).run(),
    )
    assert.deepEqual(await backups.list(), [])
  })

  it('are not made again by who had to wait for the lease', async () => {
    const { backups, runs } = setUp()
    const records: BackupRunsParts['records'] = {
      agreeOn: (...args) => metadata.agreeOn(...args),
      isBackupLeased: options => metadata.isBackupLeased(options),
      releaseBackup: (...args) => metadata.releaseBackup(...args),
      leaseBackup: async (...args) => {
        await runs('two').run()
        return await metadata.leaseBackup(...args)
      },
    }
    const { outcome, newest } = await runs('one', { records }).tick()
    assert.deepEqual([outcome, (await backups.list()).map(({ id }) => id)], ['not due', [newest?.id]])
  })

  it('that fail leave the older ones where they are', async () => {
    const { backups, runs } = setUp()
    await runs('one', { keep: 1 }).run()
    now += 1000
    const failing = runs('one', {
      keep: 1,
      openSnapshot: async () => {
        throw new Error('no disk')
      },
    })
    await assert.rejects(failing.run(), /no disk/)
    assert.equal((await backups.list()).length, 1)
    assert.equal(await metadata.isBackupLeased(), false)
  })

  it('end at once when they shall', async () => {
    const { runs, objects } = setUp()
    const ending = new AbortController()
    const run = runs('one', {
      openSnapshot: async () => {
        ending.abort(new Error('stopping'))
        return await openSqliteSnapshot(path)
      },
    }).run({ signal: ending.signal })
    await assert.rejects(run)
    assert.deepEqual(await Array.fromAsync(objects.list('backups/')), [])
    assert.equal(await metadata.isBackupLeased(), false)
  })
})

describe('Work that takes long', () => {
  it('is awaited for a while, and goes on', async () => {
    const gate = Promise.withResolvers<string>()
    const failures: unknown[] = []
    await using run = new LongRun(
      () => gate.promise,
      error => failures.push(error),
      10,
    )
    assert.equal(await run.start(), undefined)
    gate.resolve('done')
    assert.equal(await run.start(), 'done')
    assert.deepEqual(failures, [])
  })

  it('tells its failure to whoever waits, and to the log when nobody does', async () => {
    const failures: unknown[] = []
    await using quick = new LongRun(
      async () => {
        throw new Error('at once')
      },
      error => failures.push(error),
      10_000,
    )
    await assert.rejects(quick.start(), /at once/)
    assert.equal(failures.length, 0)
    const gate = Promise.withResolvers<void>()
    await using slow = new LongRun(
      () => gate.promise,
      error => failures.push(error),
      10,
    )
    await slow.start()
    gate.reject(new Error('later'))
    await until(async () => failures.length === 1)
  })

  it('ends when the process does', async () => {
    const run = new LongRun(
      async ({ signal }) => await sleep(1_000_000, undefined, { signal }),
      () => {},
      10,
    )
    await run.start()
    await run[Symbol.asyncDispose]()
    const left = new LongRun(
      async ({ signal }) => await sleep(1_000_000, undefined, { signal }),
      () => {},
      1_000_000,
    )
    const leaving = new AbortController()
    const waiting = left.start({ signal: leaving.signal })
    leaving.abort()
    assert.equal(await waiting, undefined)
    await left[Symbol.asyncDispose]()
  })
})

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(5)
}

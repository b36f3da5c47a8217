import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import { isDomainError } from '../../../src/errors.ts'
import { BackupStore } from '../../../src/storage/backups/backup-store.ts'
import { contentOf } from '../../../src/storage/backups/backup-content.ts'
import type { SnapshotContent } from '../../../src/storage/metadata/backup/snapshot.ts'
import { openSqliteSnapshot } from '../../../src/storage/metadata/backup/sqlite-snapshot.ts'
import { restoreSqlite, type SqliteRestored } from '../../../src/storage/metadata/backup/sqlite-restore.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import { failsWith, fillMetadata, type FilledMetadata } from '../../support/backup-content.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const rules = { revokesTokens: false, now: Date.now() }
const nothing = async () => {}

/** Opens the database as a registry does that starts at the worst moment: while somebody else has the file to itself. */
const startMeanwhile = `
  const { existsSync } = require('node:fs')
  const { DatabaseSync } = require('node:sqlite')
  const { workerData: path, parentPort } = require('node:worker_threads')
  const isHeld = () => {
    if (!existsSync(path)) return false
    const database = new DatabaseSync(path, { timeout: 0 })
    try {
      database.exec('select 1 from sqlite_master')
      return false
    } catch (error) {
      return (error.errcode & 0xff) === 5
    } finally {
      database.close()
    }
  }
  parentPort.postMessage('begun')
  const until = performance.now() + 1000
  while (performance.now() < until && !isHeld());
  if (performance.now() < until) {
    const database = new DatabaseSync(path, { timeout: 5000 })
    let outcome = 'written'
    try {
      database.exec('pragma journal_mode = wal; create table other (a); insert into other values (1)')
    } catch (error) {
      outcome = error.message
    }
    parentPort.postMessage(outcome)
    database.close()
  }
`

describe('A backup that is restored into a file', () => {
  const stack = new AsyncDisposableStack()
  let content: SnapshotContent
  let filled: FilledMetadata
  before(async () => {
    const directory = stack.use(await temporaryDirectory())
    const path = join(directory.path, 'varve.db')
    const metadata = stack.use(await openSqliteMetadata(path))
    filled = await fillMetadata(metadata)
    await using snapshot = await openSqliteSnapshot(path)
    const backups = new BackupStore({ objects: new MemoryObjectStore(), version: '1' })
    content = await contentOf(backups, await backups.write(snapshot, 'here'))
  })
  after(() => stack.disposeAsync())

  async function place() {
    const { path: directory } = stack.use(await temporaryDirectory())
    const path = join(directory, 'varve.db')
    const restore = (
      replaces = false,
      finish: Parameters<typeof restoreSqlite>[3] = nothing,
    ): Promise<SqliteRestored> => restoreSqlite(path, content, { ...rules, replaces }, finish)
    return { directory, path, restore }
  }

  async function isAsBackedUp(path: string): Promise<void> {
    await using restored = await openSqliteMetadata(path)
    assert.deepEqual(await filled.describe(restored), filled.before)
  }

  /** Fills another database, and answers what is in its log while it is open. */
  async function fillOther(path: string, mark: string): Promise<Buffer> {
    await using metadata = await openSqliteMetadata(path)
    await fillMetadata(metadata, mark)
    return await readFile(`${path}-wal`)
  }

  it('has nothing of the log of a file that is gone', async () => {
    const { directory, path, restore } = await place()
    const other = await place()
    const log = await fillOther(other.path, 'lost')
    assert.ok(log.length > 0)
    // As it is when the disk has lost the file itself, or somebody has moved it away alone.
    await writeFile(`${path}-wal`, log)
    await restore()
    await isAsBackedUp(path)
    const kept = (await readdir(directory)).filter(name => /-replaced-\w+-wal$/.test(name))
    assert.equal(kept.length, 1)
    assert.deepEqual(await readFile(join(directory, kept[0] ?? '')), log)
  })

  it('takes the place of a damaged one, whose files are moved aside', async () => {
    for (const damage of [
      (bytes: Buffer) => bytes.fill('x', 0, 100),
      (bytes: Buffer) => bytes.fill('x', 100, bytes.length),
      () => Buffer.from('hello, this is not a database at all'),
    ]) {
      const { directory, path, restore } = await place()
      await fillOther(path, 'damaged')
      const damaged = damage(await readFile(path))
      await writeFile(path, damaged)
      await failsWith('conflict', /is damaged; with --replace it is moved aside/, restore())
      assert.deepEqual(await readdir(directory), ['varve.db'])
      const { movedTo } = await restore(true)
      assert.deepEqual(await readFile(movedTo ?? ''), damaged)
      await isAsBackedUp(path)
    }
  })

  it('never takes the place of what was moved aside in the same second', async () => {
    const { directory, path, restore } = await place()
    await fillOther(path, 'first')
    const { movedTo } = await restore(true)
    const first = await readFile(movedTo ?? '')
    const again = await restore(true)
    assert.notEqual(again.movedTo, movedTo)
    assert.deepEqual(await readFile(movedTo ?? ''), first)
    assert.equal((await readdir(directory)).length, 3)
    await isAsBackedUp(path)
  })

  for (const [there, make] of [
    ['there is no file', async () => {}],
    ['the file is empty', async (path: string) => await writeFile(path, '')],
    ['there is one with content', async (path: string) => void (await fillOther(path, 'other'))],
  ] as const)
    it(`is not written over by who starts while ${there} and it gets its name`, async () => {
      for (let round = 0, met = 0; met < 3; round += 1) {
        assert.ok(round < 100, `met ${met} times`)
        const { path, restore } = await place()
        await make(path)
        let ended: Promise<unknown> | undefined
        const told: unknown[] = []
        const start = async () => {
          const starter = new Worker(startMeanwhile, { eval: true, workerData: path })
          starter.on('message', (message: unknown) => told.push(message))
          ended = once(starter, 'exit')
          await once(starter, 'message')
        }
        const outcome = await restore(true, start).then(
          () => 'restored',
          (error: unknown) => error,
        )
        await ended
        // Its look may have kept the restore out.
        if (outcome === 'restored' && told.length === 2) {
          met += 1
          await isAsBackedUp(path)
        } else if (outcome !== 'restored') assert.ok(isDomainError(outcome, 'conflict'), String(outcome))
      }
    })

  for (const [when, phase] of [
    ['while it is filled', 'rows'],
    ['while it is compared with the objects', 'finish'],
  ] as const)
    it(`is the only one: another restore is refused ${when}, and takes nothing away from it`, async () => {
      const { directory, path, restore } = await place()
      const begun = Promise.withResolvers<void>()
      const end = Promise.withResolvers<void>()
      const held = async (at: typeof phase): Promise<void> => {
        if (at !== phase) return
        begun.resolve()
        await end.promise
      }
      const slow: SnapshotContent = {
        shape: content.shape,
        async *rows(options) {
          await held('rows')
          yield* content.rows(options)
        },
      }
      const first = restoreSqlite(path, slow, { ...rules, replaces: false }, () => held('finish'))
      await begun.promise
      const second = await restore().then(
        () => 'restored',
        (error: unknown) => error,
      )
      end.resolve()
      await first
      await isAsBackedUp(path)
      assert.ok(isDomainError(second, 'conflict'), String(second))
      assert.match(second.message, /another process restores it at this moment/)
      assert.deepEqual(await readdir(directory), ['varve.db'])
    })
})

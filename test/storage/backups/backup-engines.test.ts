import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import pg from 'pg'
import { BackupStore } from '../../../src/storage/backups/backup-store.ts'
import { openPostgresSnapshot } from '../../../src/storage/metadata/backup/postgres-snapshot.ts'
import { restorePostgres } from '../../../src/storage/metadata/backup/postgres-restore.ts'
import type { MetadataSnapshot, SnapshotContent } from '../../../src/storage/metadata/backup/snapshot.ts'
import { openSqliteSnapshot } from '../../../src/storage/metadata/backup/sqlite-snapshot.ts'
import { restoreSqlite } from '../../../src/storage/metadata/backup/sqlite-restore.ts'
import { tableNames } from '../../../src/storage/metadata/backup/tables.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import { parseTag } from '../../../src/storage/reference.ts'
import { contentOf } from '../../../src/storage/backups/backup-content.ts'
import { failsWith, fillMetadata, filledRepository } from '../../support/backup-content.ts'
import { eventuallyWithin } from '../../support/eventually.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const withoutPostgres = await skipWithout('postgres')
const rules = { revokesTokens: false, now: Date.now() }
const nothing = async () => {}

/** Writes a snapshot into a store, and answers what can be restored. */
async function backedUp(snapshot: MetadataSnapshot): Promise<SnapshotContent> {
  const backups = new BackupStore({ objects: new MemoryObjectStore(), version: '1' })
  const record = await backups.write(snapshot, 'here')
  return await contentOf(backups, record)
}

interface Engine {
  /** Something to write to, a snapshot of it, and a place to restore into. */
  open(): Promise<{
    readonly metadata: Metadata
    readonly snapshot: () => Promise<MetadataSnapshot>
  }>
  restore(content: SnapshotContent, name?: string): Promise<Metadata>
  catalog(): Promise<string[]>
}

describe('Backups of both engines', () => {
  const stack = new AsyncDisposableStack()
  let server: PostgresTestServer | undefined
  before(async () => {
    if (withoutPostgres === false) server = stack.use(await startPostgres())
  })
  after(() => stack.disposeAsync())

  const sqlite: Engine = {
    open: async () => {
      const directory = stack.use(await temporaryDirectory())
      const path = join(directory.path, 'varve.db')
      const metadata = stack.use(await openSqliteMetadata(path))
      return { metadata, snapshot: () => openSqliteSnapshot(path) }
    },
    restore: async content => {
      const directory = stack.use(await temporaryDirectory())
      const path = join(directory.path, 'varve.db')
      await restoreSqlite(path, content, { ...rules, replaces: false }, nothing)
      assert.deepEqual(await readdir(directory.path), ['varve.db'])
      return stack.use(await openSqliteMetadata(path))
    },
    catalog: async () => {
      const directory = stack.use(await temporaryDirectory())
      const path = join(directory.path, 'varve.db')
      await (await openSqliteMetadata(path))[Symbol.asyncDispose]()
      const database = new DatabaseSync(path)
      const rows = database.prepare("select name from sqlite_master where type = 'table'").all()
      database.close()
      return rows.map(({ name }) => String(name))
    },
  }

  const urlOf = async (): Promise<string> => {
    if (server === undefined) throw new Error('there is no PostgreSQL')
    return await server.createDatabase()
  }
  const postgres: Engine = {
    open: async () => {
      const url = await urlOf()
      const metadata = stack.use(await openPostgresMetadata(url))
      return { metadata, snapshot: () => openPostgresSnapshot(url) }
    },
    restore: async content => {
      const url = await urlOf()
      await restorePostgres(url, content, { ...rules, name: 'one' }, nothing)
      return stack.use(await openPostgresMetadata(url))
    },
    catalog: async () => {
      const url = await urlOf()
      await (await openPostgresMetadata(url))[Symbol.asyncDispose]()
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      const { rows } = await client.query<{ name: string }>(
        'select tablename as name from pg_tables where schemaname = current_schema()',
      )
      await client.end()
      return rows.map(({ name }) => name)
    },
  }

  const engines = { sqlite, postgres }
  const skipOf = (...names: string[]) => (names.includes('postgres') ? withoutPostgres : false)

  for (const [name, engine] of Object.entries(engines))
    it(`have every table of ${name}`, { skip: skipOf(name) }, async () => {
      const there = (await engine.catalog()).filter(
        table => !table.startsWith('kysely_') && !table.startsWith('sqlite_'),
      )
      assert.deepEqual(there.sort(), [...tableNames].sort())
    })

  for (const [from, source] of Object.entries(engines))
    for (const [to, target] of Object.entries(engines))
      it(`of ${from} restore into ${to}`, { skip: skipOf(from, to) }, async () => {
        const { metadata, snapshot } = await source.open()
        const filled = await fillMetadata(metadata)
        await using taken = await snapshot()
        // What comes later is not in it.
        await metadata.deleteTag(filledRepository, parseTag('v1'))
        const restored = await target.restore(await backedUp(taken))
        assert.deepEqual(await filled.describe(restored), filled.before)
        // The next numbers are new ones.
        await fillMetadata(restored, 'again')
        const events = await restored.eventBounds()
        assert.ok(events.newest > 1_000_000_000, String(events.newest))
      })

  it('of an empty database restore', async () => {
    const { snapshot } = await sqlite.open()
    await using taken = await snapshot()
    const restored = await sqlite.restore(await backedUp(taken))
    assert.deepEqual(await restored.listTenants({ limit: 10 }), [])
  })

  it('are refused by a SQLite database with content, or that is open', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    const { metadata, snapshot } = await sqlite.open()
    const { before: expected, describe: describeIt } = await fillMetadata(metadata)
    await using taken = await snapshot()
    const content = await backedUp(taken)
    const old = await openSqliteMetadata(path)
    const restore = (replaces: boolean) => restoreSqlite(path, content, { ...rules, replaces }, nothing)
    await failsWith('conflict', /open in another process/, restore(true))
    await fillMetadata(old, 'old')
    await old[Symbol.asyncDispose]()
    await failsWith('conflict', /has content/, restore(false))
    const { movedTo } = await restore(true)
    assert.ok(movedTo?.startsWith(`${path}-replaced-`))
    assert.equal((await readdir(directory.path)).length, 2)
    await using restored = await openSqliteMetadata(path)
    assert.deepEqual(await describeIt(restored), expected)
    await using moved = await openSqliteMetadata(movedTo ?? '')
    assert.equal((await moved.listTags(filledRepository, { limit: 5 })).length, 2)
  })

  it('that fail at the end change nothing of a SQLite database', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    const { snapshot } = await sqlite.open()
    await using taken = await snapshot()
    const content = await backedUp(taken)
    await assert.rejects(
      restoreSqlite(path, content, { ...rules, replaces: false }, async () => {
        throw new Error('at the end')
      }),
      /at the end/,
    )
    assert.deepEqual(await readdir(directory.path), [])
  })

  it('are refused by a PostgreSQL with content or connections', { skip: withoutPostgres }, async () => {
    const { metadata, snapshot } = await sqlite.open()
    await fillMetadata(metadata)
    await using taken = await snapshot()
    const content = await backedUp(taken)
    const url = await urlOf()
    const restore = () => restorePostgres(url, content, { ...rules, name: 'one' }, nothing)
    const open = await openPostgresMetadata(url)
    await open.ping()
    await failsWith('conflict', /open in 1 connection/, restore())
    await fillMetadata(open)
    await open[Symbol.asyncDispose]()
    await failsWith('conflict', /has content/, restore())
  })

  it('are refused by a PostgreSQL that a registry opens while the restore waits for its tables', {
    skip: withoutPostgres,
  }, async () => {
    const { snapshot } = await sqlite.open()
    await using taken = await snapshot()
    const content = await backedUp(taken)
    const url = await urlOf()
    await (await openPostgresMetadata(url))[Symbol.asyncDispose]()
    const registry = new pg.Client({ connectionString: url })
    await registry.connect()
    try {
      await registry.query('begin')
      await registry.query('lock table settings in row exclusive mode')
      const refused = failsWith(
        'conflict',
        /open in 1 connection/,
        restorePostgres(url, content, { ...rules, name: 'one' }, nothing),
      )
      await eventuallyWithin(20, 'the restore waits for its tables', async () => {
        const { rows } = await registry.query(
          "select 1 from pg_locks where not granted and relation = 'settings'::regclass",
        )
        return rows.length === 1
      })
      await registry.query("set application_name = 'varve'")
      await registry.query('commit')
      await refused
    } finally {
      await registry.end()
    }
  })

  it('that are not restored to the end are refused by a registry, and ended', {
    skip: withoutPostgres,
  }, async () => {
    const { metadata, snapshot } = await sqlite.open()
    const { before: expected, describe: describeIt } = await fillMetadata(metadata)
    await using taken = await snapshot()
    const content = await backedUp(taken)
    const url = await urlOf()
    const restore = (name: string, finish: () => Promise<void>) =>
      restorePostgres(url, content, { ...rules, name }, finish)
    await assert.rejects(
      restore('one', async () => {
        throw new Error('killed')
      }),
    )
    await failsWith('conflict', /run the same `varve restore` \(of one\) again/, openPostgresMetadata(url))
    await failsWith('conflict', /Another restore \(of one\) has begun/, restore('two', nothing))
    await restore('one', nothing)
    await using restored = await openPostgresMetadata(url)
    assert.deepEqual(await describeIt(restored), expected)
  })

  it('that are not restored to the end are not ended with tokens that somebody wants to be revoked', {
    skip: withoutPostgres,
  }, async () => {
    const { metadata, snapshot } = await sqlite.open()
    await fillMetadata(metadata)
    await using taken = await snapshot()
    const content = await backedUp(taken)
    const url = await urlOf()
    const restore = (revokesTokens: boolean, finish: () => Promise<void>) =>
      restorePostgres(url, content, { ...rules, revokesTokens, name: 'one' }, finish)
    const broken = async () => {
      throw new Error('killed')
    }
    await assert.rejects(restore(false, broken), /killed/)
    await failsWith('conflict', /\(of one\) has begun/, restore(true, nothing))
    await restore(false, nothing)
    // And the other way around the registry says which command it was.
    const other = await urlOf()
    await assert.rejects(
      restorePostgres(other, content, { ...rules, revokesTokens: true, name: 'one' }, broken),
      /killed/,
    )
    await failsWith('conflict', /\(of one --revoke-tokens\) again/, openPostgresMetadata(other))
  })
})

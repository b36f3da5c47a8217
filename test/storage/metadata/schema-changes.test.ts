import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import { type Dialect, Kysely, PostgresDialect } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import pg from 'pg'
import { tenantOf } from '../../../src/storage/accounts/names.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import {
  type ColumnTypes,
  postgresColumnTypes,
  sqliteColumnTypes,
} from '../../../src/storage/metadata/column-types.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { initial } from '../../../src/storage/metadata/migrations/0001-initial.ts'
import { events } from '../../../src/storage/metadata/migrations/0002-events.ts'
import { settings } from '../../../src/storage/metadata/migrations/0003-settings.ts'
import { tailDigest } from '../../../src/storage/metadata/migrations/0004-tail-digest.ts'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import type { Schema } from '../../../src/storage/metadata/schema.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { NodeSqliteDialect } from '../../../src/storage/metadata/sqlite-dialect.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { freshRepository, looseManifest, newUpload } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

interface OpenOptions {
  readonly migrate?: boolean
  readonly signal?: AbortSignal
}

interface Engine {
  readonly dialect: (location: string) => Dialect
  readonly types: ColumnTypes
  readonly open: (location: string, options?: OpenOptions) => Promise<Metadata>
  readonly run: (location: string, statement: string) => Promise<void>
}

const sqlite: Engine = {
  dialect: path => new NodeSqliteDialect(new DatabaseSync(path)),
  types: sqliteColumnTypes,
  open: openSqliteMetadata,
  run: async (path, statement) => {
    const database = new DatabaseSync(path)
    database.exec(statement)
    database.close()
  },
}

const postgres: Engine = {
  dialect: url => new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }),
  types: postgresColumnTypes,
  open: openPostgresMetadata,
  run: async (url, statement) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(statement)
    await client.end()
  },
}

describe('The schema of a SQLite database', () => {
  schemaContract(sqlite, async test => {
    await using directory = await temporaryDirectory()
    await test(join(directory.path, 'varve.db'))
  })
})

describe('The schema of a PostgreSQL database', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())
  schemaContract(postgres, async test => test(await server.createDatabase()))
})

/** @param withEmpty gives a place for a database that has nothing in it yet. */
function schemaContract(
  { open, run, dialect, types }: Engine,
  withEmpty: (test: (location: string) => Promise<void>) => Promise<void>,
): void {
  it('is made once, however many open the database at the same time', () =>
    withEmpty(async location => {
      const opened = await Promise.all(Array.from({ length: 8 }, () => open(location)))
      const repository = freshRepository()
      await Promise.all(
        opened.map((metadata, index) =>
          metadata.putManifest(repository, looseManifest(`${index}`, `tag-${index}`)),
        ),
      )
      for (const metadata of opened) {
        assert.equal((await metadata.listTags(repository, { limit: 9 })).length, 8)
        await metadata[Symbol.asyncDispose]()
      }
    }))

  it('is left alone when it may not be changed, and needs no change when it is up to date', () =>
    withEmpty(async location => {
      const error = await rejectsWith('unsupported', open(location, { migrate: false }))
      assert.match(error.message, /0001-initial.*varve db migrate/)
      assert.equal(error.details.resource, 'database')
      await (await open(location, { migrate: true }))[Symbol.asyncDispose]()
      await using metadata = await open(location, { migrate: false })
      await metadata.ping()
    }))

  it('of a version without accounts is brought up to date with what is in it', () =>
    withEmpty(async location => {
      const before = Date.now()
      const old = new Kysely<Schema>({ dialect: dialect(location) })
      const past = {
        '0001-initial': initial,
        '0002-events': events,
        '0003-settings': settings,
        '0004-tail-digest': tailDigest,
      }
      const migrations = Object.entries(past).map(([title, change]): [string, Migration] => [
        title,
        { up: db => change(db, types) },
      ])
      const provider = { getMigrations: async () => Object.fromEntries(migrations) }
      assert.equal((await new Migrator({ db: old, provider }).migrateToLatest()).error, undefined)
      await old.destroy()

      const repository = freshRepository()
      const upload = newUpload(repository, before)
      const digest = digestOf(Buffer.from('old'))
      for (const statement of [
        `insert into repositories values ('${repository}', 1)`,
        `insert into blobs values ('${digest}', 'key', 3, 'stored', 1)`,
        `insert into blob_links values ('${repository}', '${digest}', 1)`,
        `insert into uploads (id, repository, algorithm, object_key, part_size, upload_offset, parts, expires_at)
         values ('${upload.id}', '${repository}', 'sha256', 'key', 1, 0, '[]', ${upload.expiresAt.getTime()})`,
      ])
        await run(location, statement)
      await rejectsWith('unsupported', open(location, { migrate: false }))

      await using metadata = await open(location)
      assert.equal((await metadata.getUpload(repository, upload.id)).account, null)
      assert.deepEqual(await metadata.repositoriesWithBlob(digest, 9), [repository])
      const tenant = tenantOf(repository)
      assert.equal((await metadata.accessFacts(null, repository)).tenant, undefined)
      await metadata.createTenant({ name: tenant, visibility: 'public' })
      assert.deepEqual(await metadata.listRepositoriesOf(null, { limit: 9 }), [repository])
      await rejectsWith('conflict', metadata.deleteTenant(tenant))
    }))

  it('of a newer version is left alone', () =>
    withEmpty(async location => {
      await (await open(location))[Symbol.asyncDispose]()
      await run(location, "insert into kysely_migration values ('9999-later', '2100-01-01T00:00:00.000Z')")
      for (const migrate of [true, false]) {
        const error = await rejectsWith('unsupported', open(location, { migrate }))
        assert.match(error.message, /9999-later/)
      }
    }))

  it('is not touched for a caller that has gone', () =>
    withEmpty(async location => {
      const reason = new Error('not wanted any more')
      const signal = AbortSignal.abort(reason)
      await assert.rejects(open(location, { signal }), (thrown: unknown) => thrown === reason)
      await rejectsWith('unsupported', open(location, { migrate: false }))
    }))
}

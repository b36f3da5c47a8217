import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import pg from 'pg'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { looseManifest } from '../../support/records.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { undoMigrations } from '../../support/undo-migrations.ts'

const repository = parseRepositoryName('acme/app')

/** As an older replica, which knows no more columns, writes one. */
const insertAsBefore = (id: string): string =>
  `insert into events (id, at, kind, action, repository, digest)
    values ('${id}', 1, 'manifest', 'pull', '${repository}', '${looseManifest('a').digest}')`

async function keepsEvents(
  open: () => Promise<Metadata>,
  run: (sql: string) => Promise<void>,
  /** To the columns that there were before. */
  undo: string,
): Promise<void> {
  const all = (metadata: Metadata) => metadata.listEvents({ after: 0, limit: 99 })
  const before = await (async () => {
    await using metadata = await open()
    for (const text of ['a', 'b', 'c']) await metadata.putManifest(repository, looseManifest(text, text))
    const events = await all(metadata)
    await metadata.registerEndpoints(['hook'])
    return events
  })()
  assert.equal(before.length, 6)
  await run(undo)
  // One that had no position yet.
  await run(insertAsBefore('first'))
  await using metadata = await open()
  await run(insertAsBefore('second'))
  const at = new Date(2)
  await metadata.addEvents([{ kind: 'upstream', action: 'free', upstream: 'there', at }])
  const events = await all(metadata)
  assert.deepEqual(events.slice(0, 6), before)
  assert.deepEqual(
    events.slice(6, 8).map(({ id, position, kind, action }) => [id, position, kind, action]),
    [
      ['first', 7, 'manifest', 'pull'],
      ['second', 8, 'manifest', 'pull'],
    ],
  )
  const { id: _id, ...last } = events[8] ?? assert.fail()
  assert.deepEqual(last, { kind: 'upstream', action: 'free', upstream: 'there', at, position: 9 })
  assert.deepEqual(await metadata.eventBounds(), { oldest: 1, newest: 9 })
  assert.equal((await metadata.listEndpoints())[0]?.position, 6)
  // Positions are still each one's own.
  await assert.rejects(run(`update events set position = 1 where id = 'second'`))
}

const withoutPostgres = await skipWithout('postgres')

describe('Events that were there before those of runs', () => {
  it('stay what they are in SQLite, and old ways to write them go on', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    const made = (sql: string): string =>
      sql
        .replace('repository text,', 'repository text not null,')
        .replace('digest text,', 'digest text not null,')
    await keepsEvents(
      () => openSqliteMetadata(path),
      async sql => {
        const database = new DatabaseSync(path)
        try {
          database.exec(sql)
        } finally {
          database.close()
        }
      },
      [
        undoMigrations('0011'),
        made(`create table old (serial integer primary key, position bigint, id text not null, at bigint not null,
          kind text not null, action text not null, repository text, digest text, tag text, media_type text,
          size bigint, previous text, from_repository text, requester text)`),
        'insert into old select * from events',
        'drop table events',
        'alter table old rename to events',
        'create unique index events_by_position on events (position) where position is not null',
        'create index events_without_position on events (serial) where position is null',
      ].join(';'),
    )
  })

  it('stay what they are in PostgreSQL', { skip: withoutPostgres }, async () => {
    await using server = await startPostgres()
    await keepsEvents(
      () => openPostgresMetadata(server.url),
      async sql => {
        const client = new pg.Client({ connectionString: server.url })
        await client.connect()
        try {
          await client.query(sql)
        } finally {
          await client.end()
        }
      },
      [
        undoMigrations('0011'),
        'alter table events alter column repository set not null',
        'alter table events alter column digest set not null',
      ].join(';'),
    )
  })
})

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import pg from 'pg'
import { defaultKeepTimes } from '../../../src/storage/metadata/keep-times.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { newObjectKey } from '../../../src/storage/objects/keys.ts'
import { startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { commitText, imageManifest, looseManifest } from '../../support/records.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { undoMigrations } from '../../support/undo-migrations.ts'

/** Back to where nothing was collected. */
const undo = undoMigrations('0009')

const { graceMs, objectDelayMs } = defaultKeepTimes
const policy = { untaggedMs: undefined, referrers: 'delete' } as const

async function collectsWhatIsThere(
  open: (now: () => number) => Promise<Metadata>,
  run: (sql: string) => Promise<void>,
): Promise<void> {
  let time = Date.now()
  const repository = parseRepositoryName('acme/app')
  const empty = parseRepositoryName('acme/empty')
  const orphan = { digest: digestOf(Buffer.from('unlinked everywhere')), key: newObjectKey() }
  const objects: string[] = []
  {
    await using metadata = await open(() => time)
    for (const text of ['named', 'unnamed'])
      objects.push((await commitText(metadata, repository, text, time)).objectKey)
    const config = digestOf(Buffer.from('named'))
    await metadata.putManifest(repository, imageManifest({ config, tags: ['v1'] }))
    await metadata.putManifest(empty, looseManifest('gone'))
    await metadata.deleteManifest(empty, looseManifest('gone').digest)
  }
  await run(undo)
  await run(
    `insert into blobs (digest, object_key, size, state, created_at)
      values ('${orphan.digest}', '${orphan.key}', 19, 'stored', 0)`,
  )
  await using metadata = await open(() => time)
  const has = (text: string) =>
    metadata.holdersOf(digestOf(Buffer.from(text)), 9).then(holders => holders.length > 0)
  const collect = async () => {
    await metadata.reviewManifests(policy, 100)
    await metadata.reviewLinks(100)
    await metadata.reviewRepositories(100)
  }
  time = Date.now() + graceMs / 2
  await collect()
  assert.deepEqual(
    [await has('named'), await has('unnamed'), await metadata.hasRepository(empty)],
    [true, true, true],
  )
  assert.deepEqual(await metadata.listGarbage(10), [])
  time = Date.now() + graceMs
  await collect()
  time += objectDelayMs
  assert.deepEqual(
    [await has('named'), await has('unnamed'), await metadata.hasRepository(empty)],
    [true, false, false],
  )
  assert.deepEqual(new Set(await metadata.listGarbage(10)), new Set([orphan.key, objects[1]]))
  assert.equal((await metadata.countWaiting()).bytes, 19 + 'unnamed'.length)
}

const withoutPostgres = await skipWithout('postgres')

describe('What was there before anything was collected', () => {
  it('is collected when a SQLite database is brought up to date', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    await collectsWhatIsThere(
      now => openSqliteMetadata(path, { now }),
      async sql => {
        const database = new DatabaseSync(path)
        database.exec(sql)
        database.close()
      },
    )
  })

  it('is collected when a PostgreSQL database is', { skip: withoutPostgres }, async () => {
    await using server = await startPostgres()
    await collectsWhatIsThere(
      now => openPostgresMetadata(server.url, { now }),
      async sql => {
        const client = new pg.Client({ connectionString: server.url })
        await client.connect()
        await client.query(sql)
        await client.end()
      },
    )
  })
})

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import pg from 'pg'
import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { commitText, looseManifest } from '../../support/records.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { undoMigrations } from '../../support/undo-migrations.ts'

/** Back to where nobody counted. */
const undo = undoMigrations('0007')

async function countsWhatIsThere(
  open: () => Promise<Metadata>,
  run: (sql: string) => Promise<void>,
): Promise<void> {
  const manifest = looseManifest('m', 'x')
  {
    await using metadata = await open()
    for (const name of ['acme', 'acme/a', 'acme/b/c', 'acme-labs/a', 'other/x'])
      await commitText(metadata, parseRepositoryName(name), 'in every one', 0)
    await commitText(metadata, parseRepositoryName('acme/a'), 'alone', 0)
    for (const name of ['acme/a', 'acme/d']) await metadata.putManifest(parseRepositoryName(name), manifest)
  }
  await run(undo)
  await using metadata = await open()
  for (const [name, bytes, repositories] of [
    ['acme', 12 + 5 + 2 * manifest.size, 4],
    ['acme-labs', 12, 1],
    ['other', 12, 1],
    ['nobody', 0, 0],
  ] as const) {
    const tenant = parseTenantName(name)
    assert.deepEqual(await metadata.getUsage(tenant), { bytes, uploadingBytes: 0, repositories })
    assert.deepEqual(await metadata.recountUsage(tenant), { bytes, uploadingBytes: 0, repositories })
  }
}

const withoutPostgres = await skipWithout('postgres')

describe('What was stored before anybody counted', () => {
  it('is counted when a SQLite database is brought up to date', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    await countsWhatIsThere(
      () => openSqliteMetadata(path),
      async sql => {
        const database = new DatabaseSync(path)
        database.exec(sql)
        database.close()
      },
    )
  })

  it('is counted when a PostgreSQL database is', { skip: withoutPostgres }, async () => {
    await using server = await startPostgres()
    await countsWhatIsThere(
      () => openPostgresMetadata(server.url),
      async sql => {
        const client = new pg.Client({ connectionString: server.url })
        await client.connect()
        await client.query(sql)
        await client.end()
      },
    )
  })
})

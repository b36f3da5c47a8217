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

/** Back to where nobody counted. */
const undo = [
  'drop table scrub_state',
  'drop table stray_objects',
  'drop table blob_faults',
  'drop table tag_expiries',
  'drop table retention_policies',
  'drop table tag_history',
  'drop table deleted_references',
  'drop table deleted_manifests',
  'alter table repositories drop column deleted_at',
  'alter table manifests drop column dropped',
  'drop table collect_state',
  'drop index garbage_by_digest',
  ...['blob_links', 'manifests', 'repositories'].flatMap(table => [
    `drop index ${table}_by_review`,
    `alter table ${table} drop column review_at`,
  ]),
  'alter table blob_links drop column kept_until',
  'alter table manifests drop column released_at',
  'alter table manifests drop column lost_subject',
  'alter table garbage drop column digest',
  'alter table garbage drop column size',
  'drop table pulled_manifests',
  'drop table upstream_tags',
  'drop table transfers',
  'drop table mirror_results',
  'drop table mirror_runs',
  'drop table mirror_tags',
  'drop table mirror_wishes',
  'drop table mirror_jobs',
  'drop table leases',
  'drop table tag_rules',
  'drop table usage_changes',
  'drop table tenant_usage',
  'drop index uploads_by_repository',
  "delete from kysely_migration where name >= '0007'",
].join(';')

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

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { digestOf } from '../../../src/storage/digest.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseReference, parseRepositoryName } from '../../../src/storage/reference.ts'
import { startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const run = promisify(execFile)
const fixture = fileURLToPath(new URL('../../fixtures/programs/share-metadata.ts', import.meta.url))
const names = ['a', 'b', 'c', 'd']
const rounds = 25

/** Four processes start with an empty database and write at once. */
async function share(location: string, open: (location: string) => Promise<Metadata>): Promise<void> {
  const outputs = await Promise.all(
    names.map(name => run(process.execPath, [fixture, location, name, String(rounds)])),
  )
  const expected = outputs.flatMap(({ stdout }) => stdout.trim().split('\n'))
  assert.equal(expected.length, names.length * rounds)

  await using metadata = await open(location)
  const shared = parseRepositoryName('shared')
  const tags: readonly string[] = await metadata.listTags(shared, { limit: 1000 })
  assert.deepEqual(tags, [...expected, 'latest'].toSorted())
  for (const tag of tags) await metadata.getManifest(shared, parseReference(tag))
  for (let round = 0; round < rounds; round++)
    await metadata.findBlob(shared, digestOf(Buffer.from(`common ${round}`)))
  // Each common blob was uploaded four times and is kept once. Each upload of the first kind let go of its tail's key.
  const garbage = await metadata.listGarbage(10_000)
  assert.equal(garbage.length, rounds * (names.length - 1) + rounds * names.length)
}

const withoutPostgres = await skipWithout('postgres')

describe('Processes that write to one database at once', () => {
  it('lose nothing on SQLite', async () => {
    await using directory = await temporaryDirectory()
    await share(join(directory.path, 'varve.db'), openSqliteMetadata)
  })

  it('lose nothing on PostgreSQL', { skip: withoutPostgres }, async () => {
    await using server = await startPostgres()
    await share(server.url, openPostgresMetadata)
  })
})

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import pg from 'pg'
import type { StoredBlob } from '../../../src/storage/metadata/blob-records.ts'
import { defaultKeepTimes } from '../../../src/storage/metadata/keep-times.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { commitText, imageManifest } from '../../support/records.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const { graceMs, objectDelayMs } = defaultKeepTimes
const dayMs = 24 * 60 * 60 * 1000

async function findsWhatIsForgotten(
  open: (now: () => number) => Promise<Metadata>,
  run: (sql: string) => Promise<void>,
): Promise<void> {
  let time = Date.UTC(2026, 0, 1)
  await using metadata = await open(() => time)
  const repository = parseRepositoryName('acme/app')
  const commit = (text: string) => commitText(metadata, repository, text, time)
  const named = await commit('named')
  const loose = [await commit('loose 1'), await commit('loose 2'), await commit('loose 3')]
  const fresh = await commit('fresh')
  const unlinked = await commit('unlinked')
  await metadata.putManifest(repository, imageManifest({ config: named.digest, tags: ['v1'] }))
  // So does a replica that knows no queue: it links, and deletes manifests and links, and says nothing of it.
  const older = [named, ...loose].map(({ digest }) => `'${digest}'`).join(', ')
  await run(`update blob_links set review_at = null, kept_until = 0 where digest in (${older})`)
  await run(`delete from blob_links where digest = '${unlinked.digest}'`)

  const look = async (): Promise<number> => {
    let steps = 1
    while (await metadata.enqueueForgotten(2)) steps += 1
    return steps
  }
  const reviewAtOf = async ({ digest }: StoredBlob) =>
    (await metadata.holdersOf(digest, 9))[0]?.reviewAt?.getTime()
  assert.ok((await look()) > 3, 'in steps')
  for (const one of loose) assert.equal(await reviewAtOf(one), time + graceMs)
  assert.equal(await reviewAtOf(named), undefined)
  assert.equal(await reviewAtOf(fresh), time + graceMs / 4, 'what is in the queue keeps its place')
  assert.equal((await metadata.findGarbageOf(unlinked.digest))?.getTime(), time + objectDelayMs)
  assert.equal((await metadata.findBlob(repository, named.digest)).objectKey, named.objectKey)

  await run(`update blob_links set review_at = null where digest = '${fresh.digest}'`)
  assert.equal(await look(), 1, 'once a day')
  assert.equal(await reviewAtOf(fresh), undefined)
  time += dayMs
  await look()
  assert.equal(await reviewAtOf(fresh), time + graceMs)
  time += graceMs
  await metadata.reviewLinks(100)
  for (const one of [...loose, fresh]) assert.deepEqual(await metadata.holdersOf(one.digest, 9), [])
  assert.equal((await metadata.holdersOf(named.digest, 9)).length, 1)
}

const withoutPostgres = await skipWithout('postgres')

describe('What an older replica has left behind is found', () => {
  it('in SQLite', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'varve.db')
    await findsWhatIsForgotten(
      now => openSqliteMetadata(path, { now }),
      async sql => {
        const file = new DatabaseSync(path)
        file.exec(sql)
        file.close()
      },
    )
  })

  it('in PostgreSQL', { skip: withoutPostgres }, async () => {
    await using server = await startPostgres()
    const url = await server.createDatabase()
    await findsWhatIsForgotten(
      now => openPostgresMetadata(url, { now }),
      async sql => {
        const client = new pg.Client(url)
        await client.connect()
        await client.query(sql)
        await client.end()
      },
    )
  })
})

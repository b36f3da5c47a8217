import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import pg from 'pg'
import { tenantOf } from '../../../src/storage/accounts/names.ts'
import type { Digest } from '../../../src/storage/digest.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseReference, type RepositoryName } from '../../../src/storage/reference.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { commitText, freshRepository, imageManifest } from '../../support/records.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

interface Opened {
  readonly metadata: Metadata
  /** What a process does that knows nothing of the newest tables. */
  readonly run: (this: void, sql: string) => Promise<unknown>
  close(): Promise<void>
}

/** A push of a digest that was deleted, by a version that deletes for good. */
const pushAgain = (repository: RepositoryName, digest: Digest) => [
  `insert into manifests (repository, digest, media_type, size, bytes, subject, created_at, released_at, lost_subject)
     select repository, digest, media_type, size, bytes, subject, created_at, created_at, 0 from deleted_manifests
     where repository = '${repository}' and digest = '${digest}'`,
  `insert into manifest_references (repository, manifest, position, role, digest, media_type, size)
     select repository, manifest, 0, 'config', digest, 'application/octet-stream', 1 from deleted_references
     where repository = '${repository}' and manifest = '${digest}'`,
  `insert into usage_changes (tenant, bytes, repositories)
     select '${tenantOf(repository)}', size, 0 from deleted_manifests
     where repository = '${repository}' and digest = '${digest}'`,
]

function olderReplicas(name: string, open: () => Promise<Opened>): void {
  describe(`Older replicas on ${name}`, () => {
    let opened: Opened
    before(async () => {
      opened = await open()
    })
    after(() => opened.close())

    async function pushedTwice(): Promise<{ repository: RepositoryName; digest: Digest; blob: Digest }> {
      const { metadata, run } = opened
      const repository = freshRepository()
      const { digest: blob } = await commitText(metadata, repository, `config ${repository}`, Date.now())
      const manifest = imageManifest({ config: blob, annotations: { repository }, tags: ['v1'] })
      await metadata.putManifest(repository, manifest)
      await metadata.deleteManifest(repository, manifest.digest)
      for (const sql of pushAgain(repository, manifest.digest)) await run(sql)
      return { repository, digest: manifest.digest, blob }
    }

    it('what one pushes that was deleted can be deleted once more, and taken back', async () => {
      const { metadata } = opened
      const { repository, digest } = await pushedTwice()
      await metadata.deleteManifest(repository, digest)
      const deleted = await metadata.listDeletedManifests(repository, { limit: 9 })
      assert.deepEqual(
        deleted.map(row => row.digest),
        [digest],
      )
      await metadata.restoreManifest(repository, digest)
      assert.equal((await metadata.statManifest(repository, parseReference(digest))).digest, digest)
    })

    it('what one pushes that was deleted can be taken back all the same', async () => {
      const { metadata } = opened
      const { repository, digest } = await pushedTwice()
      await metadata.restoreManifest(repository, digest)
      assert.deepEqual(await metadata.listDeletedManifests(repository, { limit: 9 }), [])
      assert.equal((await metadata.statManifest(repository, parseReference(digest))).digest, digest)
    })

    it('a link that is in no queue waits the whole grace when what was deleted goes', async () => {
      const { metadata, run } = opened
      const { repository, digest, blob } = await pushedTwice()
      await metadata.deleteManifest(repository, digest)
      await run(`update blob_links set review_at = null, kept_until = 1 where repository = '${repository}'`)
      await run(`update deleted_manifests set goes_at = 1 where repository = '${repository}'`)
      await metadata.forgetDeletedManifests(9)
      const [link] = await metadata.holdersOf(blob, 9)
      assert.ok(link?.reviewAt && link.reviewAt.getTime() > Date.now())
      await metadata.reviewLinks(99)
      assert.equal((await metadata.findBlob(repository, blob)).digest, blob)
    })
  })
}

olderReplicas('SQLite', async () => {
  const directory = await temporaryDirectory()
  const path = join(directory.path, 'varve.db')
  const metadata = await openSqliteMetadata(path)
  const other = new DatabaseSync(path)
  return {
    metadata,
    run: async sql => other.exec(sql),
    async close() {
      other.close()
      await metadata[Symbol.asyncDispose]()
      await directory.remove()
    },
  }
})

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  olderReplicas('PostgreSQL', async () => {
    const url = await server.createDatabase()
    const metadata = await openPostgresMetadata(url)
    const other = new pg.Client({ connectionString: url })
    await other.connect()
    return {
      metadata,
      run: sql => other.query(sql),
      async close() {
        await other.end()
        await metadata[Symbol.asyncDispose]()
      },
    }
  })
})

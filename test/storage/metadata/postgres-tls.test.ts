/** A PostgreSQL that takes connections over TLS only: by whom its certificate is trusted, and what others are told. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { inspect } from 'node:util'
import { openPostgresSnapshot } from '../../../src/storage/metadata/backup/postgres-snapshot.ts'
import { openPostgresMetadata } from '../../../src/storage/metadata/postgres.ts'
import { PostgresPool } from '../../../src/storage/metadata/postgres-pool.ts'
import { type CertificateRequest, TestAuthority } from '../../support/certificates.ts'
import { type PostgresTestServer, startPostgres } from '../../support/postgres.ts'
import { skipWithout } from '../../support/programs.ts'
import { freshRepository, looseManifest } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const hour = 3_600_000
const forItself: CertificateRequest = {
  subject: '/CN=database',
  names: [{ kind: 'ip', value: '127.0.0.1' }],
  use: 'serverAuth',
}

describe('A PostgreSQL database over TLS', { skip: await skipWithout('postgres') }, () => {
  let directory: TemporaryDirectory
  let authority: TestAuthority
  let caFile: string
  let server: PostgresTestServer
  before(async () => {
    directory = await temporaryDirectory()
    authority = await TestAuthority.create()
    caFile = join(directory.path, 'ca.pem')
    await writeFile(caFile, authority.cert)
    server = await startPostgres({ tls: await authority.issue(forItself) })
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await directory.remove()
  })

  const verified = (url: string, root: string | undefined = caFile): string => {
    const changed = new URL(url)
    changed.searchParams.set('sslmode', 'verify-full')
    if (root !== '') changed.searchParams.set('sslrootcert', root)
    return changed.href
  }

  async function assertRefused(url: string, message: RegExp): Promise<void> {
    const patience = { forMs: hour, onWait: () => assert.fail('there is nothing to wait for') }
    const error = await rejectsWith('unavailable', openPostgresMetadata(url, { patience }))
    assert.match(error.message, message)
    assert.ok(!inspect(error, { depth: 9 }).includes(new URL(url).password))
  }

  it('is used, each connection of it over TLS', async () => {
    const url = verified(await server.createDatabase())
    await using metadata = await openPostgresMetadata(url)
    const repository = freshRepository()
    await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        metadata.putManifest(repository, looseManifest(`${index}`, `tag-${index}`)),
      ),
    )
    assert.equal((await metadata.listTags(repository, { limit: 9 })).length, 6)
    await using snapshot = await openPostgresSnapshot(url)
    assert.ok(snapshot.shape.tables.length > 0)
    const pool = new PostgresPool({ url, size: 1, connectTimeoutMs: 10_000 })
    const client = await pool.connect()
    const { rows } = await client.query(
      `select distinct ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'varve'`,
      [],
    )
    assert.deepEqual(rows, [{ ssl: true }])
    client.release()
    await pool.end()
  })

  it('works again when it was away', async () => {
    await using metadata = await openPostgresMetadata(verified(await server.createDatabase()))
    await server.stopServer()
    await rejectsWith('unavailable', metadata.ping())
    await server.startServer()
    await metadata.ping()
  })

  it('is not used by whoever was not told its authority, or another one', async () => {
    const url = await server.createDatabase()
    await assertRefused(verified(url, ''), /its certificate is not trusted; check sslmode and sslrootcert/)
    const other = join(directory.path, 'other.pem')
    await writeFile(other, (await TestAuthority.create()).cert)
    await assertRefused(verified(url, other), /its certificate is not trusted; check sslmode and sslrootcert/)
  })

  it('is not used in the clear, and says what to set', async () => {
    await assertRefused(
      await server.createDatabase(),
      /without TLS; add sslmode=verify-full to database\.url\.$/,
    )
  })

  it('names a file of certificates that is not there, and shows no password', async () => {
    const url = verified(await server.createDatabase(), join(directory.path, 'absent.pem'))
    const error = await rejectsWith('invalid', openPostgresMetadata(url))
    assert.match(error.message, /absent\.pem that the URL of the database names cannot be read \(ENOENT\)/)
    assert.ok(!inspect(error, { depth: 9 }).includes(new URL(url).password))
  })

  for (const [what, change, message] of [
    [
      'has expired',
      { validity: { notBefore: new Date(Date.now() - 2 * hour), notAfter: new Date(Date.now() - hour) } },
      /its certificate is not valid at this time; renew it/,
    ],
    [
      'is one for another name',
      { names: [{ kind: 'dns', value: 'database.example' }] },
      /one for other host names; call the host in database\.url/,
    ],
  ] as const)
    it(`is not used when its certificate ${what}`, async () => {
      await using odd = await startPostgres({ tls: await authority.issue({ ...forItself, ...change }) })
      await assertRefused(verified(odd.url), message)
    })
})

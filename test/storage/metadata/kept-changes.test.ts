/** What a process itself writes makes the database's mark another one only where it may concern what is kept. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import { changesWhatIsKept } from '../../../src/storage/metadata/kept-changes.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { startRegistry } from '../../support/registry.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const [acme, alice] = [parseTenantName('acme'), parseAccountName('alice')]
const app = parseRepositoryName('acme/app')

describe('statements', () => {
  for (const sql of [
    'select "deleted_at" from "accounts"',
    'with "a" as (select 1) select * from "a"',
    'begin immediate',
    'insert into "uploads" ("id") values (?) on conflict do update set "id" = 1',
    '\n  insert into blob_links (repository) select name from accounts',
    'update "tags" set "digest" = ?',
    'delete from "garbage" where "at" < ?',
  ])
    it(`change nothing that is kept: ${sql.trim()}`, () => assert.equal(changesWhatIsKept(sql), false))

  for (const sql of [
    'insert into "accounts" ("name") values (?)',
    'insert or replace into "uploads" ("id") values (?)',
    'update "tenant_members" set "role" = ? from "tags"',
    'delete from "repositories" where "name" = ?',
    'with "a" as (select 1) delete from "tags"',
    'alter table "tags" add column "x"',
    'drop table tags',
    'replace into tags values (1)',
  ])
    it(`may change what is kept: ${sql}`, () => assert.equal(changesWhatIsKept(sql), true))
})

describe('The mark of SQLite', () => {
  let stack: AsyncDisposableStack
  let metadata: Metadata
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    const { path } = stack.use(await temporaryDirectory())
    metadata = stack.use(await openSqliteMetadata(join(path, 'varve.db')))
    await metadata.createTenant({ name: acme })
    await metadata.createAccount({ name: alice, kind: 'user' })
  })
  afterEach(async () => {
    mock.restoreAll()
    await stack.disposeAsync()
  })

  it('is of tables that no answer about access is read from', async () => {
    const prepared = mock.method(DatabaseSync.prototype, 'prepare')
    await metadata.findAccount(alice)
    await metadata.accessFacts(alice, app)
    await metadata.findCredential('x')
    const tables = prepared.mock.calls.flatMap(({ arguments: [sql] }) =>
      [...sql.matchAll(/(?:from|join) "(\w+)"/g)].map(([, table = '']) => table),
    )
    assert.ok(tables.length > 4, tables.join())
    for (const table of tables) assert.ok(changesWhatIsKept(`delete from "${table}"`), table)
  })

  it('stays the same when an image is pushed, pulled and deleted', async () => {
    await using registry = await startRegistry()
    const client = new RegistryClient(registry.url)
    const push = (tag: string) => client.pushImage(app, tag, Buffer.from(tag))
    // The repository is new to the database.
    await push('first')
    const mark = registry.metadata.changeMark()
    assert.notEqual(mark, undefined)
    const digest = await push('second')
    const path = `/v2/${app}/manifests`
    assert.equal((await client.send('GET', `${path}/second`)).status, 200)
    assert.equal((await client.send('DELETE', `${path}/${digest}`)).status, 202)
    assert.equal(registry.metadata.changeMark(), mark)
    await registry.metadata.createTenant({ name: acme })
    assert.notEqual(registry.metadata.changeMark(), mark)
  })
})

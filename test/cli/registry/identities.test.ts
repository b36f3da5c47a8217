import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { hashSync } from 'bcryptjs'
import { policyOf } from '../../../src/cli/registry/access-policy.ts'
import { configuredBrowserLogin, openConfiguredIdentities } from '../../../src/cli/registry/identities.ts'
import { type Config, loadConfig } from '../../../src/config.ts'
import { createLogger } from '../../../src/log.ts'
import { AccessPolicy } from '../../../src/registry/auth/access-policy.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const log = createLogger({ level: 'silent' })
const provider = { name: 'people', issuer: 'https://id.example.com', audiences: ['varve'] }

describe('Identities of the configuration', () => {
  let directory: TemporaryDirectory
  let metadata: Metadata
  const path = (name: string): string => join(directory.path, name)
  const configOf = (flags: Readonly<Record<string, unknown>>): Config =>
    loadConfig({ environment: {}, flags: { 'auth.mode': 'basic', ...flags } }).config

  beforeEach(async () => {
    directory = await temporaryDirectory()
    metadata = await openSqliteMetadata(path('metadata.sqlite'))
  })
  afterEach(async () => {
    await metadata[Symbol.asyncDispose]()
    await directory.remove()
  })

  it('are those of the database, and of the htpasswd file; the admins are named', async () => {
    await writeFile(path('htpasswd'), `alice:${hashSync('correct horse', 4)}\n`)
    const config = configOf({ 'auth.htpasswdFile': path('htpasswd'), 'auth.admins': ['alice'] })
    await using opened = await openConfiguredIdentities(config, metadata, log)
    const login = { username: 'alice', password: 'correct horse', address: '192.0.2.1' }
    const identity = await opened.identities.verify(login)
    assert.deepEqual([identity?.account, identity?.isAdmin], ['alice', true])
  })

  it('are refused by the name of the setting whose file cannot be read', async () => {
    for (const [settings, words] of [
      [{ caFile: path('absent') }, /auth\.providers\.1\.caFile/],
      [{ clientId: 'varve', clientSecretFile: path('absent') }, /auth\.providers\.1\.clientSecretFile/],
    ] as const) {
      const providers = [provider, { ...provider, name: 'other', ...settings }]
      const opening = openConfiguredIdentities(configOf({ 'auth.providers': providers }), metadata, log)
      assert.match((await rejectsWith('invalid', opening)).message, words)
    }
    const config = configOf({ 'auth.htpasswdFile': path('absent') })
    await rejectsWith('invalid', openConfiguredIdentities(config, metadata, log))
  })

  it('are refused by the name of the setting with a name that cannot be', async () => {
    const providers = [{ ...provider, roles: [{ tenant: 'ACME', role: 'guest' }] }]
    const opening = openConfiguredIdentities(configOf({ 'auth.providers': providers }), metadata, log)
    const { message } = await rejectsWith('invalid', opening)
    assert.match(message, /auth\.providers\.0\.roles\.0\.tenant .*"ACME" is not a tenant's name/)
    const config = configOf({ 'auth.admins': ['bob', 'Alice'] })
    assert.throws(() => policyOf(config, metadata), /auth\.admins\.1 .*"Alice" is not an account's name/)
  })

  it('come by a browser only where a provider has a client, by the name that the registry is given', async () => {
    const policy = new AccessPolicy({ tenants: metadata, anonymous: true, admins: [] })
    await writeFile(path('secret'), 'of the client\n')
    for (const [more, count] of [
      [{}, 0],
      [{ clientId: 'varve', clientSecretFile: path('secret') }, 2],
    ] as const) {
      const config = configOf({ 'auth.providers': [{ ...provider, ...more }] })
      await using opened = await openConfiguredIdentities(config, metadata, log)
      const routes = await configuredBrowserLogin(config, opened, policy, metadata, log)
      assert.equal(routes.length, count)
    }
  })
})

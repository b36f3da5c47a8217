/** `varve serve` with auth.mode: put together as the configuration says, in one process and in several. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { hash } from 'bcryptjs'
import { isOpenThroughProxy, sendsPlainPasswords } from '../../src/cli/registry/plain-passwords.ts'
import { loadConfig } from '../../src/config.ts'
import { parseAccountName, parseTenantName } from '../../src/storage/accounts/names.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { passwordOf } from '../support/known-identities.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { KnownClient } from '../support/secured-registry.ts'
import { serveRegistry } from '../support/served-registry.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

describe('varve serve', () => {
  for (const workers of [1, 2])
    for (const [mode, challenge] of [
      ['basic', /^Basic realm="varve"$/],
      ['token', /^Bearer realm="http:\/\/127\.0\.0\.1:\d+\/token",service="varve"$/],
    ] as const)
      it(`with auth.mode ${mode} and ${workers} of registry.workers asks who is there, and lets them in`, async () => {
        await using directory = await temporaryDirectory()
        const settings = join(directory.path, 'varve.yaml')
        await writeFile(settings, `auth: { mode: ${mode} }\nregistry: { workers: ${workers} }\n`)
        const registry = await serveRegistry(directory.path, '--config', settings)
        try {
          await using metadata = await openSqliteMetadata(join(directory.path, 'registry', 'varve.db'))
          const [acme, alice] = [parseTenantName('acme'), parseAccountName('alice')]
          await metadata.createTenant({ name: acme })
          await metadata.createAccount({
            name: alice,
            kind: 'user',
            passwordHash: await hash(passwordOf('alice'), 4),
          })
          await metadata.setMember(acme, alice, 'developer')

          for (let connection = 0; connection < 2 * workers; connection++) {
            const headers = { connection: 'close' }
            const answer = await new RegistryClient(registry.url).send('GET', '/v2/', { headers })
            assert.equal(answer.status, 401)
            assert.match(answer.headers['www-authenticate'] ?? '', challenge)
          }
          const known = new KnownClient(registry.url, 'alice')
          await known.pushImage('acme/app', '1', Buffer.from('a layer'))
          assert.equal((await known.send('GET', '/v2/acme/app/manifests/1')).status, 200)
          assert.equal((await known.send('GET', '/v2/other/app/manifests/1')).status, 403)
        } finally {
          await registry.stop()
        }
      })
})

describe('Passwords without TLS', () => {
  const isPlain = (flags: Readonly<Record<string, unknown>>) =>
    sendsPlainPasswords(loadConfig({ environment: {}, flags }).config)

  it('are told of where others may listen', () => {
    const open = { 'auth.mode': 'token', 'registry.address': '0.0.0.0:5000' }
    assert.equal(isPlain(open), true)
    for (const flags of [
      {},
      { 'auth.mode': 'basic' },
      { ...open, 'registry.trustedProxies': '10.0.0.1' },
      { ...open, 'auth.realm': 'https://registry.example.com/token' },
      { ...open, 'registry.tls.certificateFile': '/c.pem', 'registry.tls.keyFile': '/k.pem' },
    ])
      assert.equal(isPlain(flags), false, JSON.stringify(flags))
  })
})

describe('A registry for everybody', () => {
  it('is told of where a proxy brings others to it', () => {
    const isOpen = (flags: Readonly<Record<string, unknown>>) =>
      isOpenThroughProxy(loadConfig({ environment: {}, flags }).config)
    const proxied = { 'registry.trustedProxies': '127.0.0.1' }
    assert.equal(isOpen(proxied), true)
    for (const flags of [{}, { ...proxied, 'auth.open': true }, { ...proxied, 'auth.mode': 'token' }])
      assert.equal(isOpen(flags), false, JSON.stringify(flags))
  })
})

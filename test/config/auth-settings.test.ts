import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config.ts'
import { isDomainError } from '../../src/errors.ts'

const load = (flags: Readonly<Record<string, unknown>>) => loadConfig({ environment: {}, flags }).config

function refused(flags: Readonly<Record<string, unknown>>, words: RegExp): void {
  assert.throws(
    () => load(flags),
    error => isDomainError(error, 'invalid') && words.test(error.message),
    JSON.stringify(flags),
  )
}

const provider = { name: 'ci', issuer: 'https://id.example.com', audiences: ['varve'] }

describe('The settings of auth', () => {
  it('let everybody do everything on loopback addresses only', () => {
    assert.equal(load({}).auth.mode, 'none')
    for (const address of ['127.0.0.1:5000', '127.1.2.3:0', '[::1]:5000', 'localhost:80'])
      assert.equal(load({ 'registry.address': address }).auth.mode, 'none')
    for (const address of ['0.0.0.0:5000', ':5000', '[::]:5000', '10.0.0.1:80', 'localhost.example.com:80'])
      refused({ 'registry.address': address }, /registry\.address .*auth\.mode .*auth\.open/)
  })

  it('let an address be reached by others when that is meant, or when they are asked who they are', () => {
    const address = { 'registry.address': '0.0.0.0:5000' }
    assert.ok(load({ ...address, 'auth.open': true }))
    assert.ok(load({ ...address, 'auth.mode': 'token' }))
    assert.ok(load({ ...address, 'auth.mode': 'basic' }))
    refused({ ...address, 'auth.mode': 'token', 'auth.open': true }, /auth\.open/)
  })

  it('refuse what counts for nothing while nobody is asked', () => {
    for (const [key, value] of [
      ['auth.htpasswdFile', '/f'],
      ['auth.providers', [provider]],
      ['auth.admins', ['alice']],
      ['auth.anonymous', false],
    ] as const) {
      refused({ [key]: value }, new RegExp(`${key.replace('.', '\\.')} .*auth\\.mode`))
      assert.ok(load({ [key]: value, 'auth.mode': 'basic' }))
    }
  })

  it('want all that another token service needs', () => {
    const mode = { 'auth.mode': 'token' }
    const issuer = { 'auth.external.issuer': 'tokens.example.com' }
    const realm = { 'auth.realm': 'https://tokens.example.com/token' }
    const file = { 'auth.external.jwksFile': '/keys.json' }
    const url = { 'auth.external.jwksUrl': 'https://tokens.example.com/keys' }
    assert.ok(load({ ...mode, ...issuer, ...realm, ...file }))
    assert.ok(load({ ...mode, ...issuer, ...realm, ...url }))
    for (const flags of [
      { ...issuer, ...realm, ...file },
      { ...issuer, ...realm, ...file, 'auth.mode': 'basic' },
      { ...mode, ...issuer, ...file },
      { ...mode, ...issuer, ...realm },
      { ...mode, ...issuer, ...realm, ...file, ...url },
      { ...mode, ...realm, ...file },
    ])
      refused(flags, /auth\.external\.issuer/)
  })

  it('want providers to differ, and a secret to have its client', () => {
    const mode = { 'auth.mode': 'token' }
    refused({ ...mode, 'auth.providers': [provider, provider] }, /two of the name ci/)
    refused({ ...mode, 'auth.providers': [{ ...provider, clientSecretFile: '/s' }] }, /clientId/)
  })

  it('take no keys over plain HTTP, but of this machine', () => {
    const mode = { 'auth.mode': 'token' }
    const issuer = (url: string) => ({ ...mode, 'auth.providers': [{ ...provider, issuer: url }] })
    const keys = (url: string) => ({
      ...mode,
      'auth.realm': 'https://tokens.example.com/token',
      'auth.external.issuer': 'tokens.example.com',
      'auth.external.jwksUrl': url,
    })
    for (const url of [
      'http://127.0.0.1:8080',
      'http://localhost/x',
      'http://[::1]:1',
      'https://id.example.com',
    ])
      assert.ok([load(issuer(url)), load(keys(url))])
    for (const url of ['http://id.example.com', 'http://10.0.0.1', 'http://localhost.example.com']) {
      refused(issuer(url), /auth\.providers\.0\.issuer .*https/)
      refused(keys(url), /auth\.external\.jwksUrl .*https.*jwksFile/)
    }
  })

  it('say what a URL has to be', () => {
    refused({ 'auth.realm': 'ftp://x/token' }, /auth\.realm .*https:\/\//)
    refused({ 'auth.realm': 'https://me:secret@x/token' }, /auth\.realm .*no user and password in it\./)
  })
})

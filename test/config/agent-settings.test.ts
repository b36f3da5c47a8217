import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config.ts'
import { isDomainError } from '../../src/errors.ts'

const tls = {
  'importer.agent.tlsCertificateFile': '/cert.pem',
  'importer.agent.tlsKeyFile': '/key.pem',
}
const tokens = { 'importer.agent.tokenFile': '/tokens' }
const address = { 'importer.agent.address': '10.0.0.1:5002' }
const load = (flags: Readonly<Record<string, unknown>>) => loadConfig({ environment: {}, flags }).config

describe("The settings of an agent's address", () => {
  it('may be left out: the socket needs none of them', () => {
    assert.equal(load({}).importer.agent.address, undefined)
  })

  it('want TLS and a token', () => {
    assert.equal(load({ ...address, ...tls, ...tokens }).importer.agent.address, '10.0.0.1:5002')
    for (const [flags, setting] of [
      [{ ...address, ...tls }, 'importer.agent.address'],
      [{ ...address, ...tokens }, 'importer.agent.address'],
      [{ ...address, ...tls, 'importer.agent.tlsKeyFile': undefined, ...tokens }, 'tlsCertificateFile'],
      [{ ...address, ...tokens, 'importer.agent.clientCaFile': '/ca.pem' }, 'clientCaFile'],
    ] as const)
      assert.throws(
        () => load(flags),
        error => isDomainError(error, 'invalid') && error.message.includes(setting),
      )
  })

  it('can do without TLS on a loopback address, never without a token', () => {
    const insecure = { 'importer.agent.insecure': true }
    for (const loopback of ['127.0.0.1:0', '127.9.9.9:80', 'localhost:80', '[::1]:80'])
      assert.ok(load({ 'importer.agent.address': loopback, ...tokens, ...insecure }))
    for (const open of [
      '10.0.0.1:80',
      ':80',
      '[::]:80',
      '0.0.0.0:80',
      'localhost.example.com:80',
      '127.0.0.1.x:80',
    ])
      assert.throws(() => load({ 'importer.agent.address': open, ...tokens, ...insecure }), /insecure/, open)
    assert.throws(() => load({ 'importer.agent.address': '127.0.0.1:0', ...insecure }), /tokenFile/)
  })
})

describe('The settings of an agent that commands talk to', () => {
  it('are read from the environment', () => {
    const environment = { VARVE_AGENT_URL: 'https://agent.example.com:5002', VARVE_AGENT_TOKEN_FILE: '/t' }
    const { agent } = loadConfig({ environment }).config
    assert.deepEqual([agent.url, agent.tokenFile], ['https://agent.example.com:5002', '/t'])
  })

  it('are a URL without a secret in it', () => {
    for (const url of ['garbage', 'https://:hunter2@agent.example', 'https://u@agent.example', 'https://a/b'])
      assert.throws(
        () => load({ 'agent.url': url }),
        error => isDomainError(error, 'invalid') && /agent\.url/.test(error.message),
        url,
      )
  })

  it('send no token where others can read it', () => {
    const token = { 'agent.tokenFile': '/t' }
    assert.ok(load({ 'agent.url': 'http://[::1]:5002', ...token }))
    assert.ok(load({ 'agent.url': 'http://agent.example.com' }))
    assert.throws(() => load({ 'agent.url': 'http://agent.example.com', ...token }), /https/)
    for (const url of ['ftp://a', 'https://user:secret@a', 'https://a/path'])
      assert.throws(() => load({ 'agent.url': url }), /agent\.url/, url)
    assert.throws(() => load({ 'agent.keyFile': '/k' }), /certificateFile/)
  })
})

describe('The pools of an importer', () => {
  const poolsOf = (flags: Readonly<Record<string, unknown>>) => {
    const { pool, pools } = load(flags).importer
    return [pool, pools]
  }

  it('are each there once, the default one first', () => {
    assert.deepEqual(poolsOf({}), [undefined, []])
    assert.deepEqual(poolsOf({ 'importer.pool': 'tank' }), ['tank', ['tank']])
    assert.deepEqual(poolsOf({ 'importer.pools': 'tank, fast' }), ['tank', ['tank', 'fast']])
    assert.deepEqual(poolsOf({ 'importer.pools': ['tank', 'fast'], 'importer.pool': 'fast' }), [
      'fast',
      ['fast', 'tank'],
    ])
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config.ts'
import { isDomainError } from '../../src/errors.ts'

const pair = { 'registry.tls.certificateFile': '/cert.pem', 'registry.tls.keyFile': '/key.pem' }
const load = (flags: Record<string, unknown>) => loadConfig({ environment: {}, flags }).config

describe('Settings of TLS', () => {
  it('are none unless given: plain HTTP', () => {
    const { registry, auth } = load({})
    assert.deepEqual(registry.tls, { minVersion: '1.2', hstsSeconds: 31_536_000 })
    assert.equal(auth.clientCertificates.required, false)
  })

  it('may ask for certificates of clients', () => {
    const { registry, auth } = load({
      ...pair,
      'auth.mode': 'token',
      'registry.tls.minVersion': '1.3',
      'registry.tls.hstsSeconds': '0',
      'auth.clientCertificates.caFile': '/ca.pem',
      'auth.clientCertificates.required': 'true',
      'auth.clientCertificates.account': 'uri',
    })
    assert.deepEqual([registry.tls.minVersion, registry.tls.hstsSeconds], ['1.3', 0])
    assert.deepEqual(auth.clientCertificates, { caFile: '/ca.pem', required: true, account: 'uri' })
  })

  for (const [what, flags, named] of [
    ['a certificate without its key', { 'registry.tls.certificateFile': '/cert.pem' }, /keyFile/],
    ['a key without its certificate', { 'registry.tls.keyFile': '/key.pem' }, /certificateFile/],
    [
      'certificates of clients without TLS',
      { 'auth.mode': 'token', 'auth.clientCertificates.caFile': '/ca.pem' },
      /clientCertificates\.caFile.*registry\.tls/s,
    ],
    [
      'required ones without an authority',
      { ...pair, 'auth.mode': 'token', 'auth.clientCertificates.required': true },
      /clientCertificates\.required.*caFile/s,
    ],
    ['another version', { ...pair, 'registry.tls.minVersion': '1.1' }, /minVersion/],
  ] as const)
    it(`are refused by name: ${what}`, () => {
      assert.throws(
        () => load(flags),
        error => isDomainError(error, 'invalid') && named.test(error.message),
      )
    })
})

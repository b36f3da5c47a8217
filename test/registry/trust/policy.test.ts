import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDomainError } from '../../../src/errors.ts'
import { policiesFor } from '../../../src/registry/trust/policies-for.ts'
import { parseTrustPolicies } from '../../../src/registry/trust/policy.ts'
import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { SigstoreLab } from '../../support/sigstore.ts'
import { ecKeyPair } from '../../support/x509.ts'

const spki = (key = ecKeyPair().publicKey) => key.export({ type: 'spki', format: 'pem' }).toString()
const key = spki()
const keys = { cosign: { keys: [key] } }
const acme = parseTenantName('acme')
const trustedRoot = new SigstoreLab().trustedRoot()
const keyless = (change: object = {}, identities: unknown = [{ issuer: 'https://i', subject: '*' }]) => ({
  cosign: { keyless: { trustedRoot: { ...trustedRoot, ...change }, identities } },
})
const curve = (type: 'ed448') => generateKeyPairSync(type).publicKey

describe('A trust policy', () => {
  it('has its defaults', () => {
    const { policies } = parseTrustPolicies(JSON.stringify({ images: 'acme/**', require: [keys] }), acme)
    const [policy] = policies
    assert.deepEqual(
      [policy?.name, policy?.mode, policy?.appliesTo, policy?.require.length],
      ['acme/**', 'enforce', 'readers', 1],
    )
  })

  it('is one of a list, of which all that fit count', () => {
    const text = JSON.stringify([
      { name: 'all', images: ['acme/**'], require: [keys] },
      { name: 'prod', images: ['acme/prod/*', 'acme/live/*'], require: [keys, keyless()] },
    ])
    const policies = parseTrustPolicies(text, acme)
    const names = (repository: string) =>
      policiesFor(policies, parseRepositoryName(repository)).map(({ name }) => name)
    assert.deepEqual(names('acme/dev/app'), ['all'])
    assert.deepEqual(names('acme/live/app'), ['all', 'prod'])
    assert.deepEqual(names('acmes/app'), [])
  })

  for (const [what, document, reason] of [
    ['nothing', '', /not JSON/],
    ['too much', ' '.repeat(70_000), /longer than/],
    ['an empty list', [], /Too small/],
    ['an unknown field', { images: '**', require: [keys], imagess: 1 }, /imagess/],
    ['no requirement', { images: '**', require: [] }, /require/],
    ['no key', { images: '**', require: [{ cosign: { keys: [] } }] }, /keys/],
    ['a key that is none', { images: '**', require: [{ cosign: { keys: ['x'] } }] }, /BEGIN PUBLIC KEY/],
    [
      'a key that is damaged',
      { images: '**', require: [{ cosign: { keys: [key.replace(/M[A-Z]/, '!!')] } }] },
      /cannot be read/,
    ],
    [
      'a private key',
      {
        images: '**',
        require: [{ cosign: { keys: [ecKeyPair().privateKey.export({ type: 'pkcs8', format: 'pem' })] } }],
      },
      /BEGIN PUBLIC KEY/,
    ],
    [
      'a key that is too weak',
      {
        images: '**',
        require: [
          { cosign: { keys: [spki(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)] } },
        ],
      },
      /2048/,
    ],
    [
      'a key of another kind',
      { images: '**', require: [{ cosign: { keys: [spki(curve('ed448'))] } }] },
      /neither ECDSA/,
    ],
    [
      'a key with a root without logs',
      { images: '**', require: [{ cosign: { keys: [key], trustedRoot: { ...trustedRoot, tlogs: [] } } }] },
      /no log/,
    ],
    [
      'a root without authorities',
      { images: '**', require: [keyless({ certificateAuthorities: [] })] },
      /certificateAuthorities/,
    ],
    [
      'a root without a clock',
      { images: '**', require: [keyless({ tlogs: [] })] },
      /when something was signed/,
    ],
    [
      'a root with a broken certificate',
      {
        images: '**',
        require: [
          keyless({ certificateAuthorities: [{ certChain: { certificates: [{ rawBytes: 'AAAA' }] } }] }),
        ],
      },
      /cannot be read/,
    ],
    [
      'a root with thousands of logs',
      { images: '**', require: [keyless({ tlogs: Array(1000).fill({}) })] },
      /tlogs/,
    ],
    [
      'a root that is something else',
      { images: '**', require: [keyless({ certificateAuthorities: 'x' })] },
      /certificateAuthorities/,
    ],
    ['nobody in particular', { images: '**', require: [keyless({}, [])] }, /identities/],
    [
      'a certificate that is none',
      { images: '**', require: [{ notation: { certificates: ['x'], subjects: ['*'] } }] },
      /BEGIN CERTIFICATE/,
    ],
    [
      'a subject without a value',
      { images: '**', require: [{ notation: { certificates: [], subjects: ['*'] } }] },
      /certificates/,
    ],
    ['repositories of others', { images: 'other/**', require: [keys] }, /fits no repository of acme/],
    ['a tenant whose name only begins so', { images: ['acme/**', 'acmes/**'], require: [keys] }, /acmes/],
  ] as const)
    it(`is not ${what}`, () => {
      const text = typeof document === 'string' ? document : JSON.stringify(document)
      assert.throws(
        () => parseTrustPolicies(text, acme),
        error =>
          isDomainError(error, 'invalid') && reason.test(error.message) && !error.message.includes('PRIVATE'),
      )
    })

  it('of any text is understood, or refused in a sentence', () => {
    const garbage = fc.oneof(
      fc.json(),
      fc.string(),
      fc
        .json()
        .map(
          value =>
            `{"images":"**","require":[{"cosign":{"keyless":{"trustedRoot":${value},"identities":[]}}}]}`,
        ),
      fc.json().map(value => `{"images":"**","require":[${value}]}`),
    )
    fc.assert(
      fc.property(garbage, text => {
        try {
          parseTrustPolicies(text)
        } catch (error) {
          assert.ok(isDomainError(error, 'invalid'), String(error))
          assert.ok(error.message.length < 1000)
        }
      }),
    )
  })
})

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { before, describe, it } from 'node:test'
import fc from 'fast-check'
import { parseAlternativeNames } from '../../../../src/registry/auth/certificates/alternative-names.ts'
import {
  accountOfCertificate,
  type CertificateField,
} from '../../../../src/registry/auth/certificates/certificate-account.ts'
import { type GeneralName, TestAuthority } from '../../../support/test-authority.ts'

describe('Alternative names', () => {
  for (const [what, text, expected] of [
    ['one', 'DNS:a.example', [['DNS', 'a.example']]],
    [
      'several kinds, in their order',
      'email:alice@example.com, URI:spiffe://x/y, IP Address:192.0.2.1, DNS:a',
      [
        ['email', 'alice@example.com'],
        ['URI', 'spiffe://x/y'],
        ['IP Address', '192.0.2.1'],
        ['DNS', 'a'],
      ],
    ],
    ['one that is quoted', 'DNS:"a, DNS:b"', [['DNS', 'a, DNS:b']]],
    [
      'escapes',
      String.raw`DNS:"a\u0000b\"c", DNS:d`,
      [
        ['DNS', 'a\0b"c'],
        ['DNS', 'd'],
      ],
    ],
    [
      'colons of a value',
      'othername:UPN::alice, DNS:a',
      [
        ['othername', 'UPN::alice'],
        ['DNS', 'a'],
      ],
    ],
  ] as const)
    it(`are read: ${what}`, () => {
      assert.deepEqual(
        parseAlternativeNames(text)?.map(({ kind, value }) => [kind, value]),
        expected,
      )
    })

  for (const text of [
    '',
    'DNS',
    'DNS:a,DNS:b',
    'DNS:a, ',
    'DNS:"a',
    'DNS:"a"b',
    'DNS:a"b',
    'DNS:a\nb',
    '1:a',
    'DNS:a\\b',
  ])
    it(`are not believed as ${JSON.stringify(text)}`, () => {
      assert.equal(parseAlternativeNames(text), undefined)
    })

  it('of any text are as many as were written, each as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }), values => {
        const text = values.map(value => `DNS:${JSON.stringify(value.toWellFormed())}`).join(', ')
        // Node escapes what JSON need not; what it would not write is not read.
        const names = parseAlternativeNames(text)
        if (names === undefined) assert.match(text, /\p{Cc}/u)
        else
          assert.deepEqual(
            names.map(({ value }) => value),
            values.map(value => value.toWellFormed()),
          )
      }),
    )
  })
})

describe('The account of a certificate', () => {
  let authority: TestAuthority
  before(async () => {
    authority = await TestAuthority.create()
  })
  const accountOf = async (
    field: CertificateField,
    subject: string,
    ...names: readonly GeneralName[]
  ): Promise<string | undefined> =>
    accountOfCertificate(new X509Certificate((await authority.issue({ subject, names })).cert), field)

  for (const [subject, expected] of [
    ['/CN=alice', 'alice'],
    ['/O=Example/CN=alice@example.com', 'alice@example.com'],
    ['/CN=acme\\+ci', 'acme+ci'],
    ['/CN=alice+CN=admin', undefined],
    ['/O=alice', undefined],
    ['/CN=alice/CN=admin', undefined],
    ['/CN=Alice', undefined],
    ['/CN=ALICE/OU=CN\\=admin', undefined],
    ['/CN=admin, O=x', undefined],
    [String.raw`/CN=x\/CN=admin`, undefined],
    ['/CN=x\nCN=admin', undefined],
    ['/CN=аdmin', undefined],
    ['/CN=@everybody', undefined],
    // A workload's name, or an OpenID provider's, is none that a person has.
    [String.raw`/CN=github\/octo`, undefined],
  ] as const)
    it(`is, of the subject ${JSON.stringify(subject)}, ${expected ?? 'none'}`, async () => {
      assert.equal(await accountOf('cn', subject), expected)
    })

  const [dns, email, uri] = (['dns', 'email', 'uri'] as const).map(
    kind =>
      (value: string): GeneralName => ({ kind, value }),
  ) as [NameOf, NameOf, NameOf]
  for (const [what, field, names, expected] of [
    [
      'the first of its kind',
      'dns',
      [email('x@y'), dns('web1.example'), dns('web2.example')],
      'web1.example',
    ],
    ['a DNS name in lower case', 'dns', [dns('Web1.Example')], 'web1.example'],
    [
      'a mail address with its domain in lower case',
      'email',
      [email('alice@Example.COM')],
      'alice@example.com',
    ],
    ['no mail address in upper case', 'email', [email('Alice@example.com')], undefined],
    ['a SPIFFE ID', 'uri', [uri('spiffe://example.org/ns/prod/ci')], 'example.org/ns/prod/ci'],
    ['no other URI', 'uri', [uri('https://example.org/ci')], undefined],
    ['no SPIFFE ID without a path', 'uri', [uri('spiffe://example.org')], undefined],
    ['no user of a SPIFFE ID', 'uri', [uri('alice')], undefined],
    ['no path upwards', 'uri', [uri('spiffe://example.org/../admin')], undefined],
    ['none of another kind', 'dns', [email('alice@example.com')], undefined],
    ['not the second, when the first is none', 'dns', [dns('*.example'), dns('admin')], undefined],
    ['none out of a comma (CVE-2021-44532)', 'dns', [uri('http://x/, DNS:admin')], undefined],
    ['none out of a quote', 'dns', [uri('"x", DNS:admin, URI:"y')], undefined],
    ['none out of an escaped quote', 'dns', [uri('x\\", DNS:admin')], undefined],
    ['none with a NUL (CVE-2009-2408)', 'dns', [dns('admin\0.example')], undefined],
    ['none with a line break', 'dns', [dns('admin\n')], undefined],
    ['none of an empty name', 'dns', [dns('')], undefined],
    ['none of a name that is too long', 'dns', [dns('a'.repeat(300))], undefined],
  ] as const)
    it(`is ${what}`, async () => {
      assert.equal(await accountOf(field, '/CN=admin', ...names), expected)
    })

  it('is none where there are no alternative names', async () => {
    for (const field of ['dns', 'email', 'uri'] as const)
      assert.equal(await accountOf(field, '/CN=admin'), undefined)
  })
})

type NameOf = (value: string) => GeneralName

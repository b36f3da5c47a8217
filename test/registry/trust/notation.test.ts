/** Signatures of Notary Project, right and wrong. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { FlattenedSign } from 'jose'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { startTrustRegistry, type TrustRegistry } from '../../support/trust-registry.ts'
import {
  basicConstraints,
  certificate,
  ecKeyPair,
  extendedKeyUsage,
  type Extension,
  keyUsage,
  type KeyPair,
  pemOf,
  purposes,
} from '../../support/x509.ts'

interface Parts {
  readonly header?: Readonly<Record<string, unknown>>
  readonly target?: (target: Target) => object
  readonly extensions?: readonly Extension[]
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly change?: (envelope: Envelope) => object
  readonly issuer?: Authority
  readonly algorithm?: string
  readonly keys?: KeyPair
}

type Target = { readonly mediaType: string; readonly digest: string; readonly size: number }

interface Envelope {
  readonly payload: string
  readonly protected?: string
  readonly signature: string
  readonly header: { readonly x5c: readonly string[] }
}

class Authority {
  readonly keys = ecKeyPair()
  readonly name
  readonly der: Buffer
  readonly chain: readonly Buffer[]

  constructor(
    name: string,
    {
      above,
      extensions = [basicConstraints(true), keyUsage('keyCertSign')],
    }: { above?: Authority; extensions?: readonly Extension[] } = {},
  ) {
    this.name = [['O', name]] as const
    const issuer = above ?? this
    this.der = certificate({
      subject: this.name,
      key: this.keys.publicKey,
      issuer: { subject: issuer.name, privateKey: issuer.keys.privateKey },
      extensions,
    })
    this.chain = [this.der, ...(above?.chain ?? [])]
  }
}

const signerExtensions = [keyUsage('digitalSignature'), extendedKeyUsage(purposes.codeSigning)]
const scheme = 'io.cncf.notary.signingScheme'
const expiry = 'io.cncf.notary.expiry'
const hourMs = 3_600_000

describe('Signatures of Notary Project', () => {
  const root = new Authority('root')
  const between = new Authority('between', {
    above: root,
    extensions: [basicConstraints(true, 0), keyUsage('keyCertSign')],
  })
  let registry: TrustRegistry
  let repository: string

  before(async () => {
    registry = await startTrustRegistry()
    const require = [{ notation: { certificates: [pemOf(root.der)], subjects: ['O=Acme, CN=ci-*'] } }]
    repository = `${await registry.tenantWith({ images: '**', require })}/app`
  })
  after(() => registry[Symbol.asyncDispose]())

  async function envelopeFor(image: Digest, parts: Parts): Promise<object> {
    const { issuer = between, keys = ecKeyPair(), extensions = signerExtensions } = parts
    const { notBefore, notAfter, algorithm = 'ES256', change = envelope => envelope } = parts
    const der = certificate({
      subject: [
        ['O', 'Acme'],
        ['CN', 'ci-1'],
      ],
      key: keys.publicKey,
      issuer: { subject: issuer.name, privateKey: issuer.keys.privateKey },
      extensions,
      ...(notBefore && { notBefore }),
      ...(notAfter && { notAfter }),
    })
    const { mediaType, size } = await registry.metadata.statManifest(repository as never, {
      kind: 'digest',
      digest: image,
    })
    const target = { mediaType, digest: image, size }
    const payload = JSON.stringify({ targetArtifact: parts.target?.(target) ?? target })
    const header = {
      alg: algorithm,
      cty: 'application/vnd.cncf.notary.payload.v1+json',
      crit: [scheme],
      [scheme]: 'notary.x509',
      'io.cncf.notary.signingTime': new Date().toISOString(),
      ...parts.header,
    }
    const known = Object.fromEntries(
      (Array.isArray(header.crit) ? header.crit : []).map(name => [String(name), true]),
    )
    const signed = await new FlattenedSign(Buffer.from(payload))
      .setProtectedHeader(header)
      .sign(keys.privateKey, { crit: known })
    const x5c = [der, ...issuer.chain].map(one => one.toString('base64'))
    return change({ ...signed, header: { x5c } })
  }

  async function pulled(text: string, parts: Parts) {
    const image = await registry.putImage(repository, text)
    await registry.putReferrer(repository, image, {
      artifactType: 'application/vnd.cncf.notary.signature',
      layerType: 'application/jose+json',
      bytes: Buffer.from(JSON.stringify(await envelopeFor(image, parts))),
    })
    return await registry.pull(repository, image)
  }

  for (const [what, parts] of [
    ['through an authority between', {}],
    ['of the root itself', { issuer: root }],
    [
      'with an expiry to come',
      { header: { crit: [scheme, expiry], [expiry]: new Date(Date.now() + hourMs).toISOString() } },
    ],
    ['by a certificate that says nothing of its purpose', { extensions: [keyUsage('digitalSignature')] }],
    ['on a larger curve', { keys: ecKeyPair('P-384'), algorithm: 'ES384' }],
  ] as const satisfies readonly (readonly [string, Parts])[])
    it(`count ${what}`, async () => {
      const { status, message } = await pulled(what, parts)
      assert.equal(status, 200, message)
    })

  for (const [what, parts, reason] of [
    ['by an expired certificate', { notAfter: new Date(Date.now() - 1000) }, /has expired/],
    ['by a certificate that is not valid yet', { notBefore: new Date(Date.now() + hourMs) }, /not valid yet/],
    [
      'by the certificate of an authority',
      { extensions: [basicConstraints(true), keyUsage('digitalSignature', 'keyCertSign')] },
      /certificate of an authority/,
    ],
    [
      'by a certificate for connections',
      { extensions: [keyUsage('digitalSignature'), extendedKeyUsage(purposes.serverAuth)] },
      /not for signing code/,
    ],
    ['by a certificate without key usage', { extensions: [] }, /key usage/],
    [
      'by one of another authority of the same name',
      { issuer: new Authority('root') },
      /leads to none that the policy names/,
    ],
    [
      'with a chain that was put together',
      {
        issuer: new Authority('between'),
        change: envelope => ({
          ...envelope,
          header: {
            x5c: [envelope.header.x5c[0], between.der.toString('base64'), root.der.toString('base64')],
          },
        }),
      },
      /do not belong together/,
    ],
    [
      'through one that is no authority',
      { issuer: new Authority('signer', { above: root, extensions: signerExtensions }) },
      /by one that is no authority|do not belong together/,
    ],
    [
      'through more authorities than the root allows',
      { issuer: new Authority('below', { above: between }) },
      /may not have others below it/,
    ],
    [
      'through an authority with a critical extension',
      {
        issuer: new Authority('limited', {
          above: root,
          extensions: [
            basicConstraints(true),
            keyUsage('keyCertSign'),
            { oid: '2.5.29.30', critical: true, value: Buffer.from([0x30, 0]) },
          ],
        }),
      },
      /not understood/,
    ],
    [
      'with a chain of many certificates',
      { change: envelope => ({ ...envelope, header: { x5c: Array(12).fill(envelope.header.x5c[0]) } }) },
      /chain of 12 certificates/,
    ],
    [
      'with thousands of certificates',
      { change: envelope => ({ ...envelope, header: { x5c: Array(1000).fill('AAAA') } }) },
      /no JWS envelope/,
    ],
    [
      'without certificates',
      { change: envelope => ({ ...envelope, header: { x5c: [] } }) },
      /no JWS envelope/,
    ],
    [
      'of another digest',
      { target: target => ({ ...target, digest: digestOf(Buffer.from('other')) }) },
      /of another image/,
    ],
    ['of another size', { target: target => ({ ...target, size: target.size + 1 }) }, /of another image/],
    [
      'of another media type',
      { target: target => ({ ...target, mediaType: mediaTypes.ociIndex }) },
      /of another image/,
    ],
    [
      'whose payload was changed',
      { change: envelope => ({ ...envelope, payload: Buffer.from('{}').toString('base64url') }) },
      /does not fit its certificate/,
    ],
    [
      'that have expired',
      { header: { crit: [scheme, expiry], [expiry]: new Date(Date.now() - 1000).toISOString() } },
      /has expired/,
    ],
    [
      'whose expiry is not critical',
      { header: { [expiry]: new Date(Date.now() + hourMs).toISOString() } },
      /not marked as critical/,
    ],
    ['of another scheme', { header: { [scheme]: 'notary.x509.signingAuthority' } }, /another signing scheme/],
    [
      'with the time of another scheme',
      { header: { 'io.cncf.notary.authenticSigningTime': new Date().toISOString() } },
      /another signing scheme/,
    ],
    [
      'with a critical header that nobody knows',
      {
        header: {
          crit: [scheme, 'io.cncf.notary.verificationPlugin'],
          'io.cncf.notary.verificationPlugin': 'x',
        },
      },
      /headers that are not understood/,
    ],
    ['of another content type', { header: { cty: 'application/json' } }, /not understood/],
    [
      'by an algorithm that is none',
      {
        change: envelope => ({
          ...envelope,
          protected: Buffer.from('{"alg":"none"}').toString('base64url'),
          signature: '',
        }),
      },
      /does not fit/,
    ],
    [
      'by HMAC with the public key',
      {
        change: envelope => ({
          ...envelope,
          protected: Buffer.from('{"alg":"HS256"}').toString('base64url'),
        }),
      },
      /does not fit/,
    ],
  ] as const satisfies readonly (readonly [string, Parts, RegExp])[])
    it(`do not count ${what}`, async () => {
      const { status, message } = await pulled(what, parts)
      assert.equal(status, 403)
      assert.match(message, reason)
    })

  it('do not count when they are moved from one image to another', async () => {
    const [image, other] = [
      await registry.putImage(repository, 'from'),
      await registry.putImage(repository, 'to'),
    ]
    await registry.putReferrer(repository, other, {
      artifactType: 'application/vnd.cncf.notary.signature',
      layerType: 'application/jose+json',
      bytes: Buffer.from(JSON.stringify(await envelopeFor(image, {}))),
    })
    assert.match((await registry.pull(repository, other)).message, /of another image/)
  })

  it('count by their subject, whatever order it is in and whatever looks like one', async () => {
    for (const [subjects, expected] of [
      [['CN=ci-1'], 200],
      [['CN=*, O=Acme'], 200],
      [['*'], 200],
      [['O=Acme\\, CN=ci-1'], 403],
      [['CN=ci'], 403],
      [['O=Acme, OU=x'], 403],
      [['o=Acme'], 403],
    ] as const) {
      const require = [{ notation: { certificates: [pemOf(root.der)], subjects } }]
      repository = `${await registry.tenantWith({ images: '**', require })}/app`
      assert.equal((await pulled('subject', {})).status, expected, subjects[0])
    }
  })
})

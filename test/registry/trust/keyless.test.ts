/** cosign without keys: a certificate for a login, seen by logs. */
import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import {
  type Bundle,
  type Certified,
  keylessAnnotations,
  keylessBundle,
  SigstoreLab,
  simpleSigningPayload,
  statement,
} from '../../support/sigstore.ts'
import { startTrustRegistry, type TrustRegistry } from '../../support/trust-registry.ts'
import {
  basicConstraints,
  ecKeyPair,
  extendedKeyUsage,
  keyUsage,
  pemOf,
  purposes,
} from '../../support/x509.ts'

const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json'

describe('Keyless signatures', () => {
  const lab = new SigstoreLab()
  let registry: TrustRegistry
  let repository: string

  const identity = {
    issuer: 'https://ci.example',
    subject: 'https://ci.example/acme/*/release.yml@refs/tags/*',
  }
  const policyOf = (change: object = {}) => ({
    images: '**',
    require: [{ cosign: { keyless: { trustedRoot: lab.trustedRoot(), identities: [identity], ...change } } }],
  })

  before(async () => {
    registry = await startTrustRegistry()
    repository = `${await registry.tenantWith(policyOf())}/app`
  })
  after(() => registry[Symbol.asyncDispose]())

  const signInTag = async (image: Digest, payload: Uint8Array, annotations: Record<string, string>) => {
    await registry.putCosign(repository, image, [{ payload, annotations }])
    return await registry.pull(repository, image)
  }
  const signInBundle = async (image: Digest, bundle: object) => {
    const bytes = Buffer.from(JSON.stringify(bundle))
    await registry.putReferrer(repository, image, { artifactType: bundleType, layerType: bundleType, bytes })
    return await registry.pull(repository, image)
  }
  const image = (name: string): Promise<Digest> => registry.putImage(repository, name)

  it('count long after their certificate has expired, in a tag', async () => {
    const digest = await image('tag')
    const payload = simpleSigningPayload(digest)
    const { status, message } = await signInTag(
      digest,
      payload,
      keylessAnnotations(lab, lab.certify(), payload),
    )
    assert.equal(status, 200, message)
  })

  it('count in a bundle', async () => {
    const digest = await image('bundle')
    const { status, message } = await signInBundle(
      digest,
      keylessBundle(lab, lab.certify(), statement(digest)),
    )
    assert.equal(status, 200, message)
  })

  for (const [what, certified, reason] of [
    [
      'of somebody else',
      { subject: 'https://ci.example/evil/app/release.yml@refs/tags/v1' },
      /by https:\/\/ci\.example\/evil.*does not name/,
    ],
    [
      'whose name only begins like the one that is named',
      { subject: 'https://ci.example/acme/app/release.yml@refs/tags/v1/x' },
      /does not name/,
    ],
    ['of another issuer', { issuer: 'https://evil.example' }, /of https:\/\/evil\.example, whom/],
    ['of another authority of the same name', { root: ecKeyPair() }, /leads to no authority/],
    ['that no certificate log has seen', { isLogged: false }, /no log of it has seen/],
    [
      'of an authority',
      {
        change: all => [basicConstraints(true), keyUsage('digitalSignature', 'keyCertSign'), ...all.slice(1)],
      },
      /certificate of an authority/,
    ],
    [
      'for connections',
      {
        change: all =>
          all.map(one => (one.oid === '2.5.29.37' ? extendedKeyUsage(purposes.serverAuth) : one)),
      },
      /not for signing code/,
    ],
    [
      'for no purpose in particular',
      { change: all => all.filter(one => one.oid !== '2.5.29.37') },
      /not for signing code/,
    ],
    ['without key usage', { change: all => all.slice(1) }, /key usage/],
    [
      'with a critical extension that nobody knows',
      { change: all => [...all, { oid: '1.2.3.4', critical: true, value: Buffer.from([5, 0]) }] },
      /not understood/,
    ],
  ] as const satisfies readonly (readonly [string, Certified, RegExp])[])
    it(`do not count with a certificate ${what}`, async () => {
      const digest = await image(what)
      const payload = simpleSigningPayload(digest)
      const annotations = keylessAnnotations(lab, lab.certify(certified), payload)
      const { status, code, message } = await signInTag(digest, payload, annotations)
      assert.equal(status, 403)
      assert.equal(code, 'DENIED')
      assert.match(message, reason)
    })

  it('do not count when they were made after the certificate had expired', async () => {
    const digest = await image('late')
    const payload = simpleSigningPayload(digest)
    const signer = lab.certify()
    const loggedAt = new Date(signer.signedAt.getTime() + 3_600_000)
    const annotations = keylessAnnotations(lab, signer, payload, { loggedAt })
    assert.match((await signInTag(digest, payload, annotations)).message, /leads to no authority/)
  })

  it('do not count without a log', async () => {
    const digest = await image('no log')
    const payload = simpleSigningPayload(digest)
    const { 'dev.sigstore.cosign/bundle': _, ...rest } = keylessAnnotations(lab, lab.certify(), payload)
    assert.match((await signInTag(digest, payload, rest)).message, /no proof of when/)
  })

  it('do not count with the promise of another log, or one for another time', async () => {
    const digest = await image('forged promise')
    const payload = simpleSigningPayload(digest)
    const signer = lab.certify()
    const annotations = keylessAnnotations(lab, signer, payload)
    const other = new SigstoreLab()
    const forged = keylessAnnotations(other, signer, payload)
    assert.equal(
      (
        await signInTag(digest, payload, {
          ...annotations,
          'dev.sigstore.cosign/bundle': forged['dev.sigstore.cosign/bundle'] ?? '',
        })
      ).status,
      403,
    )
    const entry = JSON.parse(annotations['dev.sigstore.cosign/bundle'] ?? '')
    entry.Payload.integratedTime += 60
    const moved = { ...annotations, 'dev.sigstore.cosign/bundle': JSON.stringify(entry) }
    assert.match((await signInTag(digest, payload, moved)).message, /in no log of the policy/)
  })

  it('do not count with the log entry of another signature', async () => {
    const digest = await image('other entry')
    const payload = simpleSigningPayload(digest)
    const signer = lab.certify()
    const first = keylessAnnotations(lab, signer, payload)
    const second = keylessAnnotations(lab, signer, payload)
    const mixed = { ...first, 'dev.sigstore.cosign/bundle': second['dev.sigstore.cosign/bundle'] ?? '' }
    assert.match((await signInTag(digest, payload, mixed)).message, /about something else/)
  })

  it('do not count when the log was told another signer, where nobody looks', async () => {
    const digest = await image('other signer in the log')
    const payload = simpleSigningPayload(digest)
    const logged = pemOf(lab.certify({ subject: 'https://ci.example/nobody' }).certificate)
    const annotations = keylessAnnotations(lab, lab.certify(), payload, { logged })
    assert.match((await signInTag(digest, payload, annotations)).message, /another signer/)
  })

  it('do not count when the payload is of another image, or none at all', async () => {
    const digest = await image('swapped')
    const other = digestOf(Buffer.from('other'))
    for (const [payload, reason] of [
      [simpleSigningPayload(other), /of another image/],
      [simpleSigningPayload(digest, 'atomic container signature'), /no signature of a container image/],
      [Buffer.from('{}'), /cannot be read/],
      [Buffer.from('nothing'), /cannot be read/],
    ] as const) {
      const annotations = keylessAnnotations(lab, lab.certify(), payload)
      assert.match((await signInTag(digest, payload, annotations)).message, reason)
    }
  })

  it('do not count when the payload was changed after it was signed', async () => {
    const digest = await image('changed')
    const annotations = keylessAnnotations(
      lab,
      lab.certify(),
      simpleSigningPayload(digestOf(Buffer.from('x'))),
    )
    const { message } = await signInTag(digest, simpleSigningPayload(digest), annotations)
    assert.match(message, /about something else|does not fit/)
  })

  it('are no attestations, which say other things', async () => {
    const digest = await image('attestation')
    const bundle = keylessBundle(
      lab,
      lab.certify(),
      statement(digest, 'https://cosign.sigstore.dev/attestation/vuln/v1'),
    )
    assert.match((await signInBundle(digest, bundle)).message, /an attestation and no signature/)
  })

  describe('in bundles that were changed', () => {
    for (const [what, change, reason] of [
      [
        'with another payload',
        bundle => ({
          ...bundle,
          dsseEnvelope: {
            ...bundle.dsseEnvelope,
            payload: Buffer.from('{"_type":"https://in-toto.io/Statement/v1"}').toString('base64'),
          },
        }),
        /cannot be read/,
      ],
      [
        'with another payload type',
        bundle => ({ ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, payloadType: 'text/plain' } }),
        /unknown type/,
      ],
      [
        'with a signature by somebody else',
        bundle => ({
          ...bundle,
          dsseEnvelope: {
            ...bundle.dsseEnvelope,
            signatures: [
              { sig: sign('sha256', Buffer.from('x'), ecKeyPair().privateKey).toString('base64'), keyid: '' },
            ],
          },
        }),
        /something else/,
      ],
      [
        'with two signatures',
        bundle => ({
          ...bundle,
          dsseEnvelope: {
            ...bundle.dsseEnvelope,
            signatures: [...bundle.dsseEnvelope.signatures, ...bundle.dsseEnvelope.signatures],
          },
        }),
        /no bundle/,
      ],
      ['without entries', bundle => withEntries(bundle, () => []), /no proof of when/],
      [
        'with the same entry twice',
        bundle => withEntries(bundle, entries => [...entries, ...entries]),
        /no proof of when|no log/,
      ],
      [
        'with a hundred entries',
        bundle => withEntries(bundle, entries => Array(100).fill(entries[0])),
        /no bundle that can be read/,
      ],
      [
        'with an index of a million digits',
        bundle => withEntries(bundle, ([entry]) => [{ ...entry, logIndex: '9'.repeat(100_000) }]),
        /no bundle that can be read/,
      ],
      [
        'with another proof of inclusion',
        bundle =>
          withEntries(bundle, ([entry]) => [
            {
              ...entry,
              inclusionProof: {
                ...(entry?.['inclusionProof'] as object),
                checkpoint: { envelope: 'x\n2\nAAAA\n\n\u2014 x AAAAAAAA\n' },
              },
            },
          ]),
        /in no log/,
      ],
      [
        'with a certificate that is none',
        bundle => ({
          ...bundle,
          verificationMaterial: { ...bundle.verificationMaterial, certificate: { rawBytes: 'AAAA' } },
        }),
        /cannot be read/,
      ],
      [
        'with a certificate of a megabyte',
        bundle => ({
          ...bundle,
          verificationMaterial: {
            ...bundle.verificationMaterial,
            certificate: { rawBytes: Buffer.alloc(500_000, 0x30).toString('base64') },
          },
        }),
        /too large/,
      ],
    ] as const satisfies readonly (readonly [string, (bundle: Bundle) => object, RegExp])[])
      it(`do not count: ${what}`, async () => {
        const digest = await image(`bundle ${what}`)
        const bundle = change(keylessBundle(lab, lab.certify(), statement(digest)))
        const { status, message } = await signInBundle(digest, bundle)
        assert.equal(status, 403)
        assert.match(message, reason)
      })
  })

  it('do not count with a key, where people are asked for', async () => {
    const digest = await image('key')
    const payload = simpleSigningPayload(digest)
    const signature = sign('sha256', payload, ecKeyPair().privateKey).toString('base64')
    const { message } = await signInTag(digest, payload, { 'dev.cosignproject.cosign/signature': signature })
    assert.match(message, /by a key that the policy does not name/)
  })
})

function withEntries(
  bundle: Bundle,
  change: (entries: readonly Record<string, unknown>[]) => readonly object[],
): object {
  const { verificationMaterial } = bundle
  return {
    ...bundle,
    verificationMaterial: { ...verificationMaterial, tlogEntries: change(verificationMaterial.tlogEntries) },
  }
}

/** cosign with a key: in a log as well, on every curve, and over the manifest itself. */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import type { RepositoryName } from '../../../src/storage/reference.ts'
import { SigstoreLab, simpleSigningPayload } from '../../support/sigstore.ts'
import { startTrustRegistry, type TrustRegistry } from '../../support/trust-registry.ts'
import { ecKeyPair, type KeyPair } from '../../support/x509.ts'

const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json'

describe('Signatures by keys', () => {
  const lab = new SigstoreLab()
  let registry: TrustRegistry

  before(async () => {
    registry = await startTrustRegistry()
  })
  after(() => registry[Symbol.asyncDispose]())

  const pemOf = ({ publicKey }: KeyPair) => publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const repositoryFor = async (cosign: object): Promise<string> =>
    `${await registry.tenantWith({ images: '**', require: [{ cosign }] })}/app`

  /** Annotations of cosign, with what the log was told. */
  const annotationsOf = (keys: KeyPair, payload: Buffer, logged: KeyPair = keys, where = lab) => {
    const signature = sign('sha256', payload, keys.privateKey).toString('base64')
    const entry = where.entry(
      {
        apiVersion: '0.0.1',
        kind: 'hashedrekord',
        spec: {
          data: { hash: { algorithm: 'sha256', value: createHash('sha256').update(payload).digest('hex') } },
          signature: {
            content: signature,
            publicKey: { content: Buffer.from(pemOf(logged)).toString('base64') },
          },
        },
      },
      new Date(),
    )
    return {
      'dev.cosignproject.cosign/signature': signature,
      'dev.sigstore.cosign/bundle': JSON.stringify({
        SignedEntryTimestamp: entry.promise,
        Payload: {
          body: entry.canonicalizedBody,
          integratedTime: entry.integratedTime,
          logIndex: 0,
          logID: entry.logId.toString('hex'),
        },
      }),
    }
  }

  for (const curve of ['P-256', 'P-384', 'P-521'])
    it(`count on the curve ${curve} when a log has them, where one has to`, async () => {
      const keys = ecKeyPair(curve)
      const repository = await repositoryFor({ keys: [pemOf(keys)], trustedRoot: lab.trustedRoot() })
      const image = await registry.putImage(repository, 'logged')
      const payload = simpleSigningPayload(image)
      const annotations = annotationsOf(keys, payload)
      await registry.putCosign(repository, image, [{ payload, annotations }])
      const { status, message } = await registry.pull(repository, image)
      assert.equal(status, 200, message)
    })

  it('do not count without a log, or with another, where one has to have them', async () => {
    const keys = ecKeyPair()
    const repository = await repositoryFor({ keys: [pemOf(keys)], trustedRoot: lab.trustedRoot() })
    const image = await registry.putImage(repository, 'not logged')
    const payload = simpleSigningPayload(image)
    const { 'dev.cosignproject.cosign/signature': signature } = annotationsOf(keys, payload)
    for (const [annotations, reason] of [
      [{ 'dev.cosignproject.cosign/signature': signature }, /in no log/],
      [annotationsOf(keys, payload, keys, new SigstoreLab()), /in no log/],
      [annotationsOf(keys, payload, ecKeyPair()), /another signer/],
      [
        {
          ...annotationsOf(keys, payload),
          'dev.sigstore.cosign/bundle': annotationsOf(keys, payload)['dev.sigstore.cosign/bundle'],
        },
        /something else/,
      ],
    ] as const) {
      await registry.putCosign(repository, image, [{ payload, annotations }])
      assert.match((await registry.pull(repository, image)).message, reason)
    }
  })

  it('count with an entry of a log that nobody asks for', async () => {
    const keys = ecKeyPair()
    const repository = await repositoryFor({ keys: [pemOf(keys)] })
    const image = await registry.putImage(repository, 'needlessly logged')
    const payload = simpleSigningPayload(image)
    const annotations = annotationsOf(keys, payload, keys, new SigstoreLab())
    await registry.putCosign(repository, image, [{ payload, annotations }])
    assert.equal((await registry.pull(repository, image)).status, 200)
  })

  it('count by a plain Ed25519 key', async () => {
    const keys = generateKeyPairSync('ed25519')
    const repository = await repositoryFor({ keys: [pemOf(keys)] })
    const image = await registry.putImage(repository, 'ed25519')
    const payload = simpleSigningPayload(image)
    const signature = sign(null, payload, keys.privateKey).toString('base64')
    await registry.putCosign(repository, image, [
      { payload, annotations: { 'dev.cosignproject.cosign/signature': signature } },
    ])
    assert.equal((await registry.pull(repository, image)).status, 200)
  })

  describe('over the manifest itself', () => {
    const keys = ecKeyPair()
    let repository: string
    before(async () => {
      repository = await repositoryFor({ keys: [pemOf(keys)] })
    })
    const pullWith = async (
      text: string,
      change: (parts: { digest: Buffer; algorithm: string; signed: Uint8Array }) => object = parts => parts,
    ) => {
      const image = await registry.putImage(repository, text)
      const { bytes } = await registry.metadata.getManifest(repository as RepositoryName, {
        kind: 'digest',
        digest: image,
      })
      const digest = createHash('sha256').update(bytes).digest()
      const parts = {
        digest,
        algorithm: 'SHA2_256',
        signed: bytes,
        ...change({ digest, algorithm: 'SHA2_256', signed: bytes }),
      }
      const bundle = {
        mediaType: bundleType,
        verificationMaterial: { publicKey: { hint: '' } },
        messageSignature: {
          messageDigest: { algorithm: parts.algorithm, digest: parts.digest.toString('base64') },
          signature: sign('sha256', parts.signed, keys.privateKey).toString('base64'),
        },
      }
      const referrer = {
        artifactType: bundleType,
        layerType: bundleType,
        bytes: Buffer.from(JSON.stringify(bundle)),
      }
      await registry.putReferrer(repository, image, referrer)
      return await registry.pull(repository, image)
    }

    it('count', async () => {
      const { status, message } = await pullWith('message')
      assert.equal(status, 200, message)
    })

    it('do not count when the digest is another, or the bytes were', async () => {
      const other = Buffer.from(digestOf(Buffer.from('other')).slice(7), 'hex')
      assert.match((await pullWith('other digest', () => ({ digest: other }))).message, /another image/)
      assert.match((await pullWith('other hash', () => ({ algorithm: 'SHA2_512' }))).message, /another image/)
      const { message } = await pullWith('other bytes', () => ({ signed: Buffer.from('other') }))
      assert.match(message, /by a key/)
    })
  })
})

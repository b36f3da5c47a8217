import { type Bundle, bundleFromJSON } from '@sigstore/bundle'
import { dsse } from '@sigstore/core'
import { type SignedEntity, toSignedEntity } from '@sigstore/verify'
import * as z from 'zod'
import { digestOf } from '../../storage/digest.ts'
import { assertSimpleSigning, assertStatement } from './cosign-claim.ts'
import { bundleOfAnnotations } from './cosign-bundle.ts'
import { maxCertificateBytes } from './certificate.ts'
import type { SignatureContent, SignedImage } from './signature.ts'
import { Untrusted } from './untrusted.ts'

/** A signature of Sigstore's that says that it is of the image; whether it is right nobody has asked yet. */
export interface SigstoreSignature {
  readonly entity: SignedEntity
  /** What the signature is over. */
  readonly signedBytes: Uint8Array
  readonly signature: Uint8Array
  /** Of the signer, in DER; undefined: it was signed with a key. */
  readonly certificate: Uint8Array | undefined
}

/**
 * Nothing of these is signed, and the library compares each with each of the others before it verifies any; a number
 * in them may be as long as the bundle. Real ones have one or two.
 */
const maxEntries = 4
const number = z.string().max(20)
const bounds = z.looseObject({
  verificationMaterial: z.looseObject({
    tlogEntries: z
      .array(
        z.looseObject({
          logIndex: number.optional(),
          integratedTime: number.optional(),
          inclusionProof: z
            .looseObject({
              logIndex: number.optional(),
              treeSize: number.optional(),
              hashes: z.array(z.string().max(128)).max(64).optional(),
              checkpoint: z.looseObject({ envelope: z.string().max(8 * 1024) }).nullish(),
            })
            .nullish(),
        }),
      )
      .max(maxEntries)
      .optional(),
    timestampVerificationData: z
      .looseObject({ rfc3161Timestamps: z.array(z.unknown()).max(maxEntries).optional() })
      .nullish(),
  }),
})

/** @throws Untrusted. */
export function readSigstore(
  content: Extract<SignatureContent, { kind: 'simple-signing' | 'bundle' }>,
  image: SignedImage,
): SigstoreSignature {
  if (content.kind === 'bundle') return readBundle(content.bytes, image)
  assertSimpleSigning(content.payload, image.digest)
  const bundle = bundleOfAnnotations(content.payload, content.annotations)
  return signatureOf(bundle, Buffer.from(content.payload))
}

function readBundle(bytes: Uint8Array, image: SignedImage): SigstoreSignature {
  const bundle = parseBundle(bytes)
  const { content } = bundle
  if (content.$case === 'dsseEnvelope') {
    assertStatement(content.dsseEnvelope.payload, content.dsseEnvelope.payloadType, image.digest)
    return signatureOf(bundle, undefined)
  }
  // The library takes the digest's word for what a log has written down.
  const { algorithm, digest } = content.messageSignature.messageDigest
  if (algorithm !== sha256 || `sha256:${digest.toString('hex')}` !== digestOf(image.bytes))
    throw new Untrusted('is of another image')
  return signatureOf(bundle, Buffer.from(image.bytes))
}

/** HashAlgorithm.SHA2_256 of sigstore/protobuf-specs. */
const sha256 = 1

function parseBundle(bytes: Uint8Array): Bundle {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    bounds.parse(json)
    return bundleFromJSON(json)
  } catch {
    throw new Untrusted('is no bundle that can be read')
  }
}

/** @param message what a signature of a message is of. */
function signatureOf(bundle: Bundle, message: Buffer | undefined): SigstoreSignature {
  const certificate = certificateOf(bundle)
  if (certificate !== undefined && certificate.length > maxCertificateBytes)
    throw new Untrusted('has a certificate that is too large')
  try {
    const entity = toSignedEntity(bundle, message)
    const signedBytes = message ?? encodingOf(bundle)
    return {
      entity,
      signedBytes,
      signature: entity.signature.signature,
      certificate,
    }
  } catch (error) {
    if (error instanceof Untrusted) throw error
    // Its parsers of certificates and timestamps throw whatever they stumble over.
    throw new Untrusted('has a certificate or a timestamp that cannot be read')
  }
}

function encodingOf({ content }: Bundle): Uint8Array {
  if (content.$case !== 'dsseEnvelope') throw new Untrusted('has no envelope')
  return dsse.preAuthEncoding(content.dsseEnvelope.payloadType, content.dsseEnvelope.payload)
}

function certificateOf({ verificationMaterial: { content } }: Bundle): Uint8Array | undefined {
  if (content.$case === 'certificate') return content.certificate.rawBytes
  if (content.$case === 'x509CertificateChain') return content.x509CertificateChain.certificates[0]?.rawBytes
  return undefined
}

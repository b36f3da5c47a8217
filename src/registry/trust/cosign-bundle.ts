import { createHash, X509Certificate } from 'node:crypto'
import { type Bundle, bundleFromJSON } from '@sigstore/bundle'
import * as z from 'zod'
import { Untrusted } from './untrusted.ts'

/** cosign/specs/SIGNATURE_SPEC.md, "OCI Image Manifest V1". */
export const cosignAnnotations = Object.freeze({
  signature: 'dev.cosignproject.cosign/signature',
  certificate: 'dev.sigstore.cosign/certificate',
  bundle: 'dev.sigstore.cosign/bundle',
  timestamp: 'dev.sigstore.cosign/rfc3161timestamp',
})

/**
 * The bundle that a signature in annotations would be if it were made today. The chain that may stand beside the
 * certificate is left out: whom a certificate leads to is for the policy to say.
 * @throws Untrusted.
 */
export function bundleOfAnnotations(
  payload: Uint8Array,
  annotations: Readonly<Record<string, string>>,
): Bundle {
  const signature = annotations[cosignAnnotations.signature]
  if (signature === undefined || signature === '') throw new Untrusted('has no signature in its annotations')
  try {
    return bundleFromJSON({
      mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
      verificationMaterial: {
        ...signerOf(annotations[cosignAnnotations.certificate]),
        tlogEntries: entriesOf(annotations[cosignAnnotations.bundle]),
        timestampVerificationData: timestampsOf(annotations[cosignAnnotations.timestamp]),
      },
      messageSignature: {
        messageDigest: {
          algorithm: 'SHA2_256',
          digest: createHash('sha256').update(payload).digest('base64'),
        },
        signature,
      },
    })
  } catch {
    throw new Untrusted('has annotations that cannot be read')
  }
}

function signerOf(certificate: string | undefined): object {
  if (certificate === undefined || certificate === '') return { publicKey: { hint: '' } }
  const rawBytes = new X509Certificate(certificate).raw.toString('base64')
  return { x509CertificateChain: { certificates: [{ rawBytes }] } }
}

const logEntry = z.looseObject({
  SignedEntryTimestamp: z.string(),
  Payload: z.looseObject({
    body: z.string(),
    integratedTime: z.int().nonnegative(),
    logIndex: z.int().nonnegative(),
    logID: z.hex(),
  }),
})

const logBody = z.looseObject({ kind: z.string(), apiVersion: z.string() })

/** What Rekor has promised (cosign's RekorBundle). */
function entriesOf(text: string | undefined): object[] {
  if (text === undefined || text === '') return []
  const { SignedEntryTimestamp, Payload } = logEntry.parse(JSON.parse(text))
  const { kind, apiVersion } = logBody.parse(JSON.parse(Buffer.from(Payload.body, 'base64').toString()))
  return [
    {
      logIndex: String(Payload.logIndex),
      logId: { keyId: Buffer.from(Payload.logID, 'hex').toString('base64') },
      kindVersion: { kind, version: apiVersion },
      integratedTime: String(Payload.integratedTime),
      inclusionPromise: { signedEntryTimestamp: SignedEntryTimestamp },
      canonicalizedBody: Payload.body,
    },
  ]
}

const timestamp = z.looseObject({ SignedRFC3161Timestamp: z.string() })

function timestampsOf(text: string | undefined): object | undefined {
  if (text === undefined || text === '') return undefined
  const { SignedRFC3161Timestamp } = timestamp.parse(JSON.parse(text))
  return { rfc3161Timestamps: [{ signedTimestamp: SignedRFC3161Timestamp }] }
}

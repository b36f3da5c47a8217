import type { KeyObject, X509Certificate } from 'node:crypto'
import { flattenedVerify } from 'jose'
import * as z from 'zod'
import { digestSchema } from '../../storage/descriptor.ts'
import { verifyChain } from './anchors.ts'
import { readCertificate } from './certificate.ts'
import type { Requirement } from './policy.ts'
import type { SignedImage } from './signature.ts'
import { fitsSubject } from './subject-pattern.ts'
import { Untrusted } from './untrusted.ts'

const header = {
  scheme: 'io.cncf.notary.signingScheme',
  expiry: 'io.cncf.notary.expiry',
  authenticTime: 'io.cncf.notary.authenticSigningTime',
} as const

/** More certificates than a chain can have are found out here, before any is read. */
const maxCertificates = 16

const envelope = z.looseObject({
  payload: z.string(),
  protected: z.string(),
  header: z.looseObject({ x5c: z.array(z.base64()).min(1).max(maxCertificates) }),
  signature: z.string(),
})

const time = z.iso.datetime({ offset: true }).transform(text => new Date(text))

const protectedHeader = z.looseObject({
  alg: z.string(),
  cty: z.literal('application/vnd.cncf.notary.payload.v1+json'),
  crit: z.array(z.string()),
  [header.scheme]: z.string(),
  [header.expiry]: time.optional(),
  [header.authenticTime]: z.unknown().optional(),
})

const payload = z.looseObject({
  targetArtifact: z.looseObject({
    mediaType: z.string(),
    digest: digestSchema,
    size: z.int().nonnegative(),
  }),
})

/**
 * notaryproject/specifications, "JWS Signature Envelope" and "Signing Scheme" (`notary.x509`). Nobody is asked whether
 * a certificate was revoked, and no timestamp is looked at: a signature is good as long as its certificates are.
 * @returns by whom, and until when that is so.
 * @throws Untrusted.
 */
export async function verifyNotation(
  bytes: Uint8Array,
  image: SignedImage,
  { anchors, subjects }: Extract<Requirement, { kind: 'notation' }>,
  now: Date,
): Promise<{ readonly says: string; readonly until: Date }> {
  const jws = readEnvelope(bytes)
  const chain = jws.header.x5c.map(one => readCertificate(Buffer.from(one, 'base64')))
  const [signer] = chain
  if (signer === undefined) throw new Untrusted('has no certificate')
  const expires = verifyChain(chain, anchors, now)
  if (!subjects.some(subject => fitsSubject(subject, signer)))
    throw new Untrusted(`is by ${nameOf(signer)}, whom the policy does not name`)
  const signed = await verifySignature(jws, signer.publicKey)
  const expiry = assertHeader(signed.header, now)
  assertTarget(signed.payload, image)
  return {
    says: `is by ${nameOf(signer)}`,
    until: expiry !== undefined && expiry < expires ? expiry : expires,
  }
}

function readEnvelope(bytes: Uint8Array): z.output<typeof envelope> {
  try {
    return envelope.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)))
  } catch {
    throw new Untrusted('is no JWS envelope that can be read')
  }
}

async function verifySignature(
  jws: z.output<typeof envelope>,
  key: KeyObject,
): Promise<{ readonly header: unknown; readonly payload: Uint8Array }> {
  const { payload, signature } = jws
  const algorithm = algorithmFor(key)
  if (algorithm === undefined) throw new Untrusted('is by a key of no known kind')
  try {
    // Only what is signed is handed over, so that nothing else can be taken for a header. What `crit` names has to be
    // known, and to be signed (RFC 7515, 4.1.11).
    const result = await flattenedVerify({ payload, signature, protected: jws.protected }, key, {
      algorithms: [algorithm],
      crit: { [header.scheme]: true, [header.expiry]: true },
    })
    return { header: result.protectedHeader, payload: result.payload }
  } catch {
    throw new Untrusted('does not fit its certificate, or has headers that are not understood')
  }
}

/** notaryproject/specifications, "Signature Algorithm Requirements": the key alone says which. */
function algorithmFor({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string | undefined {
  const { namedCurve, modulusLength } = asymmetricKeyDetails ?? {}
  if (asymmetricKeyType === 'rsa') return { 2048: 'PS256', 3072: 'PS384', 4096: 'PS512' }[modulusLength ?? 0]
  if (asymmetricKeyType !== 'ec') return undefined
  return { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }[namedCurve ?? '']
}

/** @returns when the signature expires, if it says so. */
function assertHeader(value: unknown, now: Date): Date | undefined {
  const parsed = protectedHeader.safeParse(value)
  if (!parsed.success) throw new Untrusted('has headers that are not understood')
  const { crit, [header.scheme]: scheme, [header.expiry]: expiry } = parsed.data
  if (scheme !== 'notary.x509' || !crit.includes(header.scheme))
    throw new Untrusted('is of another signing scheme than notary.x509')
  if (header.authenticTime in parsed.data) throw new Untrusted('has headers of another signing scheme')
  if (expiry === undefined) return undefined
  if (!crit.includes(header.expiry)) throw new Untrusted('has an expiry that is not marked as critical')
  if (now > expiry) throw new Untrusted('has expired')
  return expiry
}

function assertTarget(bytes: Uint8Array, image: SignedImage): void {
  let target: z.output<typeof payload>['targetArtifact']
  try {
    target = payload.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))).targetArtifact
  } catch {
    throw new Untrusted('has a payload that cannot be read')
  }
  if (target.digest !== image.digest || target.size !== image.size || target.mediaType !== image.mediaType)
    throw new Untrusted('is of another image')
}

/** One line. */
function nameOf({ subject }: X509Certificate): string {
  return subject.replaceAll('\n', ', ').slice(0, 200)
}

import type { KeyObject } from 'node:crypto'
import { PolicyError, type SignedEntity, VerificationError, Verifier } from '@sigstore/verify'
import { assertSigner, readCertificate } from './certificate.ts'
import { assertNamesSigner } from './log-entry.ts'
import type { KeylessIdentity, Requirement } from './policy.ts'
import { isSignedBy } from './public-keys.ts'
import type { SigstoreSignature } from './read-bundle.ts'
import type { SigstoreRoot } from './sigstore-root.ts'
import { Untrusted } from './untrusted.ts'

/** @returns by whom. @throws Untrusted unless one of the keys has made the signature. */
export function verifyByKeys(
  signature: SigstoreSignature,
  { keys, root }: Extract<Requirement, { kind: 'keys' }>,
): string {
  const key = keys.find(one => isSignedBy(one, signature.signedBytes, signature.signature))
  if (key === undefined) {
    // cosign prehashes (RFC 8032, 5.1, Ed25519ph), and Node verifies only the plain kind.
    const hint = keys.some(one => one.asymmetricKeyType === 'ed25519')
      ? ', or of the prehashed Ed25519 kind, which cannot be verified here; sign with an ECDSA key'
      : ''
    throw new Untrusted(`is by a key that the policy does not name${hint}`)
  }
  const which = `key ${keys.indexOf(key) + 1} of the policy`
  if (root === undefined) return `is by ${which}`
  assertLogged(signature, key, root)
  return `is by ${which}, and in a log`
}

/** @returns by whom. @throws Untrusted unless the certificate was good when the signature was made, and is of somebody who is named. */
export function verifyKeyless(
  { entity, certificate: der }: SigstoreSignature,
  { root, identities }: Extract<Requirement, { kind: 'keyless' }>,
): string {
  if (der === undefined) throw new Untrusted('is by a key that the policy does not name')
  assertSigner(readCertificate(der), 'stated')
  for (const entry of entity.tlogEntries) assertNamesSigner(entry, der)
  const { identity = {} } = verified(() => new Verifier(root.material, root.thresholds).verify(entity))
  const { subjectAlternativeName: subject = '', extensions: { issuer = '' } = {} } = identity
  const name = `${subject.slice(0, maxQuoted) || 'nobody'} of ${issuer.slice(0, maxQuoted) || 'no issuer'}`
  if (!isNamed(identities, issuer, subject))
    throw new Untrusted(`is by ${name}, whom the policy does not name`)
  return `is by ${name}`
}

/** Characters. */
const maxQuoted = 200

function isNamed(identities: readonly KeylessIdentity[], issuer: string, subject: string): boolean {
  if (issuer === '' || subject === '') return false
  return identities.some(one => one.issuer === issuer && one.subject.test(subject))
}

/** @throws Untrusted unless a log has an entry about this signature by this key. */
function assertLogged({ entity, signedBytes }: SigstoreSignature, key: KeyObject, root: SigstoreRoot): void {
  const signer = key.export({ type: 'spki', format: 'der' })
  for (const entry of entity.tlogEntries) assertNamesSigner(entry, signer)
  const { signature } = entity
  const content: SignedEntity['signature'] = {
    signature: signature.signature,
    compareSignature: other => signature.compareSignature(other),
    compareDigest: other => signature.compareDigest(other),
    compareSignedDigest: other => signature.compareSignedDigest(other),
    // The library takes SHA-256 for every kind of key.
    verifySignature: one => isSignedBy(one, signedBytes, signature.signature),
  }
  const material = { ...root.material, publicKey: () => ({ publicKey: key, validFor: () => true }) }
  verified(() =>
    new Verifier(material, { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: 0 }).verify({
      signature: content,
      key: { $case: 'public-key', hint: '' },
      tlogEntries: entity.tlogEntries,
      timestamps: [],
    }),
  )
}

const reasons: Readonly<Record<string, string>> = {
  CERTIFICATE_ERROR:
    'has a certificate that leads to no authority of the policy, or that no log of it has seen',
  PUBLIC_KEY_ERROR: 'is by a key that the policy does not name',
  SIGNATURE_ERROR: 'does not fit what it is said to be of',
  TIMESTAMP_ERROR: 'has no proof of when it was made that the policy would take',
  TLOG_BODY_ERROR: 'has an entry of a log that is about something else',
  TLOG_ERROR: 'is in no log of the policy',
  TLOG_INCLUSION_PROMISE_ERROR: 'is in no log of the policy',
  TLOG_INCLUSION_PROOF_ERROR: 'is in no log of the policy',
  TLOG_MISSING_INCLUSION_ERROR: 'is in no log of the policy',
}

/** What the library throws quotes the signature, so it is told in words of our own. */
function verified<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (error instanceof VerificationError || error instanceof PolicyError)
      throw new Untrusted(reasons[error.code] ?? 'cannot be verified')
    // Its parsers throw whatever they stumble over: RangeError, TypeError, errors of their own.
    throw new Untrusted('cannot be read')
  }
}

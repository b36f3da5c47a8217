import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { DomainError } from '../../errors.ts'

/** Bits of an RSA key: fewer are too weak, more only cost time. */
const rsaBits = { min: 2048, max: 8192 }

/**
 * What a key on a curve may have hashed with. cosign takes SHA-256 whatever the curve, and Sigstore's newer bundles
 * the hash that is as strong as the curve.
 */
const hashesByCurve: Readonly<Record<string, readonly string[]>> = {
  prime256v1: ['sha256'],
  secp384r1: ['sha384', 'sha256'],
  secp521r1: ['sha512', 'sha256'],
}

/**
 * A public key as `cosign generate-key-pair` writes it (PEM, SubjectPublicKeyInfo).
 * @throws DomainError `invalid`.
 */
export function parsePublicKey(pem: string): KeyObject {
  // Node would make the public key from a private one, which then stood in a policy that many may read.
  if (!pem.trimStart().startsWith('-----BEGIN PUBLIC KEY-----'))
    throw invalidKey('it does not begin with -----BEGIN PUBLIC KEY-----')
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch (cause) {
    throw invalidKey('it cannot be read', cause)
  }
  if (!isUsableKey(key))
    throw invalidKey('it is neither ECDSA (P-256, P-384, P-521), Ed25519, nor RSA of 2048 to 8192 bits')
  return key
}

/** Whether it is of a kind that signatures are made with, and costs no more to verify than such a one does. */
export function isUsableKey({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  const { namedCurve = '', modulusLength = 0 } = asymmetricKeyDetails ?? {}
  if (asymmetricKeyType === 'ec') return Object.hasOwn(hashesByCurve, namedCurve)
  if (asymmetricKeyType === 'rsa') return modulusLength >= rsaBits.min && modulusLength <= rsaBits.max
  return asymmetricKeyType === 'ed25519'
}

/** Whether the key has signed these bytes: ECDSA in DER, plain Ed25519, or RSA PKCS #1 v1.5. */
export function isSignedBy(key: KeyObject, bytes: Uint8Array, signature: Uint8Array): boolean {
  return hashesOf(key).some(hash => {
    try {
      return verify(hash, bytes, key, signature)
    } catch {
      // Of bytes that are no signature of this kind, OpenSSL says so in several ways.
      return false
    }
  })
}

function hashesOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly (string | null)[] {
  if (asymmetricKeyType === 'ed25519') return [null]
  if (asymmetricKeyType === 'rsa') return ['sha256']
  return hashesByCurve[asymmetricKeyDetails?.namedCurve ?? ''] ?? []
}

function invalidKey(why: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `A public key of the trust policy is not valid: ${why}; use what cosign.pub has.`,
    { resource: 'rule' },
    { cause },
  )
}

import { X509Certificate } from 'node:crypto'
import { X509Certificate as ParsedCertificate } from '@sigstore/core'
import { isUsableKey } from './public-keys.ts'
import { Untrusted } from './untrusted.ts'

/** Bytes in DER. Real ones have one or two thousand. */
export const maxCertificateBytes = 16 * 1024

/** RFC 5280, 4.2.1. */
const keyUsage = '2.5.29.15'
/** What is looked at here. Whoever calls another extension critical wants it understood. */
const understood: ReadonlySet<string> = new Set([keyUsage, '2.5.29.17', '2.5.29.19', '2.5.29.37'])
/** RFC 5280, 4.2.1.12. */
const codeSigning = '1.3.6.1.5.5.7.3.3'

/** @throws Untrusted. */
export function readCertificate(der: Uint8Array): X509Certificate {
  if (der.length > maxCertificateBytes) throw new Untrusted('has a certificate that is too large')
  try {
    return new X509Certificate(der)
  } catch {
    throw new Untrusted('has a certificate that cannot be read')
  }
}

/**
 * @param purpose whether the certificate has to say that it is for signing code, or may say nothing of the kind: Notary
 * Project's specification ("Certificate Requirements") lets it.
 * @throws Untrusted unless the certificate may sign what is neither a certificate nor a connection.
 */
export function assertSigner(certificate: X509Certificate, purpose: 'stated' | 'not excluded'): void {
  const { keyUsage, critical, isCA } = extensionsOf(certificate)
  if (isCA || certificate.ca) throw new Untrusted('is signed with the certificate of an authority')
  if (critical.some(oid => !understood.has(oid)))
    throw new Untrusted('has a certificate with a critical extension that is not understood')
  // The types call it keyUsage; it is the extended one.
  const purposes: readonly string[] = certificate.keyUsage ?? []
  if (!purposes.includes(codeSigning) && (purpose === 'stated' || purposes.length > 0))
    throw new Untrusted('has a certificate that is not for signing code')
  if (keyUsage === undefined || !keyUsage.digitalSignature || keyUsage.keyCertSign || keyUsage.crlSign)
    throw new Untrusted('has a certificate whose key usage is not that of a signer')
  if (!isUsableKey(certificate.publicKey))
    throw new Untrusted('has a certificate with a key of no known kind')
}

/**
 * @param below how many certificates of authorities are between it and the signer's.
 * @throws Untrusted unless the certificate may sign others, so far down.
 */
export function assertAuthority(certificate: X509Certificate, below: number): void {
  const { keyUsage, critical, pathLength, isCA } = extensionsOf(certificate)
  if (!isCA || !certificate.ca || keyUsage?.keyCertSign !== true)
    throw new Untrusted('has a certificate that was given out by one that is no authority')
  if (critical.some(oid => !understood.has(oid)))
    throw new Untrusted('leads to an authority with a critical extension that is not understood')
  if (pathLength !== undefined && pathLength < below)
    throw new Untrusted('leads to an authority that may not have others below it')
  if (!isUsableKey(certificate.publicKey))
    throw new Untrusted('leads to an authority with a key of no known kind')
}

interface Extensions {
  readonly isCA: boolean
  readonly pathLength: bigint | undefined
  readonly keyUsage:
    | { readonly digitalSignature: boolean; readonly keyCertSign: boolean; readonly crlSign: boolean }
    | undefined
  /** Object identifiers. */
  readonly critical: readonly string[]
}

/** What Node does not tell of a certificate. */
function extensionsOf(certificate: X509Certificate): Extensions {
  try {
    const parsed = ParsedCertificate.parse(certificate.raw)
    const { extKeyUsage, extBasicConstraints } = parsed
    return {
      isCA: extBasicConstraints?.isCA ?? false,
      pathLength: extBasicConstraints?.pathLenConstraint,
      keyUsage: extKeyUsage && {
        digitalSignature: extKeyUsage.digitalSignature,
        keyCertSign: extKeyUsage.keyCertSign,
        crlSign: extKeyUsage.crlSign,
      },
      // RFC 5280, 4.1: an extension that is not critical leaves that out.
      critical: parsed.extensions
        .filter(({ subs }) => subs.length > 2)
        .map(({ subs }) => subs[0]?.toOID() ?? ''),
    }
  } catch {
    // The parser throws whatever it stumbles over.
    throw new Untrusted('has a certificate that cannot be read')
  }
}

import { X509Certificate } from 'node:crypto'
import { DomainError } from '../../errors.ts'
import { assertAuthority, assertSigner, maxCertificateBytes, readCertificate } from './certificate.ts'
import { Untrusted } from './untrusted.ts'

/** Certificates of a chain, the signer's and the root's counted. */
const maxChain = 8

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/**
 * Certificates that are trusted of themselves, in PEM; one text may hold several.
 * @throws DomainError `invalid`.
 */
export function parseAnchors(pems: readonly string[]): X509Certificate[] {
  return pems.flatMap(pem => {
    const blocks = pem.match(certificateBlock) ?? []
    if (blocks.length === 0) throw invalidAnchor('it does not begin with -----BEGIN CERTIFICATE-----')
    return blocks.map(block => {
      try {
        return readCertificate(new X509Certificate(block).raw)
      } catch (cause) {
        throw invalidAnchor(`it cannot be read, or has more than ${maxCertificateBytes} bytes`, cause)
      }
    })
  })
}

/**
 * Follows a chain from the signer's certificate up to one of the anchors. As in Notary Project's specification ("Trust
 * Store and Trust Policy"), an anchor may be any certificate of the chain, the signer's own included if it has signed
 * itself.
 * @param chain the signer's first, each followed by that of whoever gave it out.
 * @returns when the first of them expires.
 * @throws Untrusted when it leads to no anchor, or one of them may not be used for this, now.
 */
export function verifyChain(
  chain: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  now: Date,
): Date {
  const [signer] = chain
  if (signer === undefined || chain.length > maxChain)
    throw new Untrusted(`has a chain of ${chain.length} certificates, and 1 to ${maxChain} can be verified`)
  assertSigner(signer, 'not excluded')
  let until = assertInTime(signer, now)
  for (const [index, certificate] of chain.entries()) {
    if (index > 0) {
      assertAuthority(certificate, index - 1)
      const expires = assertInTime(certificate, now)
      if (expires < until) until = expires
    }
    const isAnchor = anchors.some(anchor => anchor.raw.equals(certificate.raw))
    if (isAnchor && (index > 0 || isIssuedBy(certificate, certificate))) return until
    const issuer = chain[index + 1]
    if (issuer !== undefined && !isIssuedBy(certificate, issuer))
      throw new Untrusted('has a chain of certificates that do not belong together')
  }
  throw new Untrusted('has a certificate that leads to none that the policy names')
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  // `checkIssued` refuses one without the usage for certificates, which who signs itself has no use for.
  const isNamed = certificate.issuer === issuer.subject
  return (
    isNamed &&
    (certificate === issuer || certificate.checkIssued(issuer)) &&
    certificate.verify(issuer.publicKey)
  )
}

/** @returns when it expires. @throws Untrusted. */
function assertInTime({ validFromDate, validToDate }: X509Certificate, now: Date): Date {
  if (now < validFromDate) throw new Untrusted('has a certificate that is not valid yet')
  if (now > validToDate) throw new Untrusted('has a certificate that has expired')
  return validToDate
}

function invalidAnchor(why: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `A certificate of the trust policy is not valid: ${why}; use PEM.`,
    { resource: 'rule', name: 'certificates' },
    { cause },
  )
}

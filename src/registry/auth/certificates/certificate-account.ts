import type { X509Certificate } from 'node:crypto'
import { type AccountName, accountKindOf, parseAccountName } from '../../../storage/accounts/names.ts'
import { parseAlternativeNames } from './alternative-names.ts'

/** What of a certificate is the account: its common name, or its first alternative name of a kind. */
export type CertificateField = 'cn' | 'email' | 'dns' | 'uri'

const kinds = { email: 'email', dns: 'DNS', uri: 'URI' } as const

/**
 * The account that a certificate, whose authority has been checked already, stands for: a user or a robot; by its URI, a
 * SPIFFE ID, a workload: `spiffe://example.org/ci` is `example.org/ci`. Undefined for one that names none, or whose name
 * cannot be such an account's.
 */
export function accountOfCertificate(
  certificate: X509Certificate,
  field: CertificateField,
): AccountName | undefined {
  const text = field === 'cn' ? commonNameOf(certificate) : alternativeNameOf(certificate, field)
  const kind = text === undefined ? undefined : accountKindOf(text)
  if (text === undefined || kind === undefined) return undefined
  // Only a SPIFFE ID is meant to say who a workload is, and nothing else.
  return (kind === 'federated') === (field === 'uri') ? parseAccountName(text) : undefined
}

/** Undefined where there are several: which of them somebody else would take for the name is not to be known. */
function commonNameOf(certificate: X509Certificate): string | undefined {
  // `subject` is text in which a name can look like two; here each has its own place.
  const { CN: name }: Readonly<Record<string, string | string[] | undefined>> =
    certificate.toLegacyObject().subject ?? {}
  return typeof name === 'string' ? name : undefined
}

function alternativeNameOf(
  { subjectAltName }: X509Certificate,
  field: Exclude<CertificateField, 'cn'>,
): string | undefined {
  const names = parseAlternativeNames(subjectAltName ?? '')
  const name = names?.find(({ kind }) => kind === kinds[field])?.value
  if (name === undefined) return undefined
  switch (field) {
    case 'dns':
      // RFC 4343: the same name.
      return name.toLowerCase()
    case 'email':
      // RFC 5321, 2.4: of the part before the @, only its own host knows whether case matters.
      return name.replace(/@[^@]*$/, domain => domain.toLowerCase())
    case 'uri':
      return /^spiffe:\/\/([a-z0-9._-]+\/.+)$/.exec(name)?.[1]
  }
}

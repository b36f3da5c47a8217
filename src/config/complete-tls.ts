import { invalidSetting } from './invalid.ts'
import type { Settings } from './schema.ts'

/** @throws DomainError `invalid` for half of what TLS, or certificates of clients, need. */
export function checkTls({ registry: { tls }, auth: { clientCertificates } }: Settings): void {
  if ((tls.certificateFile === undefined) !== (tls.keyFile === undefined))
    throw invalidSetting('registry.tls.certificateFile', 'give it and keyFile, or neither')
  if (clientCertificates.caFile !== undefined && tls.certificateFile === undefined)
    throw invalidSetting(
      'auth.clientCertificates.caFile',
      'it needs registry.tls.certificateFile and registry.tls.keyFile: certificates are shown where TLS begins',
    )
  if (clientCertificates.required && clientCertificates.caFile === undefined)
    throw invalidSetting('auth.clientCertificates.required', 'it needs auth.clientCertificates.caFile')
}

import { invalidSetting } from './invalid.ts'
import { isLoopback, isLoopbackAddress } from './loopback.ts'
import type { Settings } from './schema.ts'

/** @throws DomainError `invalid` for an address that anybody could make and destroy clones through. */
export function checkAgent(agent: Settings['importer']['agent']): void {
  const { address, tlsCertificateFile, tlsKeyFile, clientCaFile, tokenFile, insecure } = agent
  if ((tlsCertificateFile === undefined) !== (tlsKeyFile === undefined))
    throw invalidSetting('importer.agent.tlsCertificateFile', 'give it and tlsKeyFile, or neither')
  if (clientCaFile !== undefined && tlsCertificateFile === undefined)
    throw invalidSetting('importer.agent.clientCaFile', 'it needs tlsCertificateFile and tlsKeyFile')
  if (address === undefined) return
  if (tokenFile === undefined)
    throw invalidSetting('importer.agent.address', 'it needs a tokenFile; only the socket can do without')
  if (tlsCertificateFile !== undefined) return
  if (!insecure) throw invalidSetting('importer.agent.address', 'it needs tlsCertificateFile and tlsKeyFile')
  if (!isLoopbackAddress(address))
    throw invalidSetting('importer.agent.insecure', `${address} is no loopback address, and needs TLS`)
}

/** @throws DomainError `invalid`. */
export function checkAgentClient({ url, tokenFile, certificateFile, keyFile }: Settings['agent']): void {
  if ((certificateFile === undefined) !== (keyFile === undefined))
    throw invalidSetting('agent.certificateFile', 'give it and keyFile, or neither')
  if (url === undefined || tokenFile === undefined) return
  const { protocol, hostname } = new URL(url)
  if (protocol === 'http:' && !isLoopback(hostname))
    throw invalidSetting('agent.url', 'a token is only sent by https, or to a loopback address')
}

import type { Config } from '../config.ts'
import { type AgentAppParts, createAgentApp } from '../importer/agent/agent-app.ts'
import { type AddressServer, serveAgentOnAddress } from '../importer/agent/agent-server.ts'
import type { ListenerLimits } from '../importer/agent/http/listener.ts'
import { TokenFile } from '../importer/agent/http/token-file.ts'
import { parseAddress } from './address.ts'

/**
 * The agent on the TCP address that is configured, if one is. That it has TLS and tokens the configuration sees to.
 * @throws DomainError `invalid` for files that cannot be used, `unavailable` for an address that is not to be had.
 */
export async function serveOnAddress(
  agent: Config['importer']['agent'],
  { log, ...parts }: Omit<AgentAppParts, 'tokens'>,
  limits: ListenerLimits,
): Promise<AddressServer | undefined> {
  const { address, tlsCertificateFile, tlsKeyFile, clientCaFile, tokenFile } = agent
  if (address === undefined || tokenFile === undefined) return undefined
  const tls =
    tlsCertificateFile === undefined || tlsKeyFile === undefined
      ? undefined
      : { certificate: tlsCertificateFile, key: tlsKeyFile, clientCa: clientCaFile }
  const app = createAgentApp({ log, ...parts, tokens: await TokenFile.open(tokenFile) })
  return await serveAgentOnAddress(app, { ...parseAddress(address), tls }, limits, {
    onRenewed: () => log.info({ certificate: tlsCertificateFile }, 'certificate renewed'),
    onProblem: error => log.error({ error }, 'the new certificate cannot be used; the old one stays'),
  })
}

import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import {
  type ClientCertificates,
  clientCertificates,
} from '../../registry/auth/certificates/client-certificates.ts'
import type { ServerTls } from '../../registry/server.ts'

/** Undefined for plain HTTP. */
export function serverTlsOf({ registry, auth }: Config, log: Logger): ServerTls | undefined {
  const { certificateFile, keyFile, minVersion } = registry.tls
  if (certificateFile === undefined || keyFile === undefined) return undefined
  const { caFile, required } = auth.clientCertificates
  return {
    files: {
      certificate: certificateFile,
      key: keyFile,
      clientCa: caFile,
      minVersion: minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    },
    clientCertificates: required ? 'required' : 'optional',
    renewal: {
      onRenewed: () => log.info({ certificate: certificateFile }, 'certificate renewed'),
      onProblem: error => log.error({ error }, 'the new certificate cannot be used; the old one stays'),
    },
  }
}

/** Undefined where certificates of clients are not asked for. */
export function clientCertificatesOf({ auth }: Config): ClientCertificates | undefined {
  const { caFile, account } = auth.clientCertificates
  return caFile === undefined ? undefined : clientCertificates(account)
}

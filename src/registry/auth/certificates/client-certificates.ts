import { TLSSocket } from 'node:tls'
import type { Socket } from 'node:net'
import type { AccountName } from '../../../storage/accounts/names.ts'
import { accountOfCertificate, type CertificateField } from './certificate-account.ts'

/** Whom the certificate of a connection stands for now; undefined for nobody. */
export type ClientCertificates = (socket: Socket) => AccountName | undefined

interface Known {
  readonly account: AccountName | undefined
  /** Milliseconds since 1970. */
  readonly goodUntil: number
}

/** The certificate of a connection is looked at once, its end at every request: connections live long. */
export function clientCertificates(
  field: CertificateField,
  now: () => number = Date.now,
): ClientCertificates {
  const known = new WeakMap<Socket, Known>()
  return socket => {
    if (!(socket instanceof TLSSocket)) return undefined
    let found = known.get(socket)
    if (found === undefined) {
      found = look(socket, field)
      known.set(socket, found)
    }
    return now() <= found.goodUntil ? found.account : undefined
  }
}

function look(socket: TLSSocket, field: CertificateField): Known {
  // A resumed session counts as authorized also where the one before had no certificate at all.
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined
  if (certificate === undefined) return { account: undefined, goodUntil: Infinity }
  return {
    account: accountOfCertificate(certificate, field),
    goodUntil: certificate.validToDate.getTime(),
  }
}

import { TLSSocket } from 'node:tls'
import type { AddressRanges } from '../../storage/address-ranges.ts'
import type { ClientCertificates } from '../auth/certificates/client-certificates.ts'
import { clientOrigin } from '../client-origin.ts'
import type { RegistryMiddleware } from '../state.ts'

/**
 * Says who sent the request.
 * @param certificates whom connections with a certificate stand for; undefined where certificates say nothing.
 */
export function origin(trusted: AddressRanges, certificates?: ClientCertificates): RegistryMiddleware {
  return async (ctx, next) => {
    const { headers, socket } = ctx.req
    const connection = {
      // Now, because a connection that has ended does not know its other end any more.
      peer: socket.remoteAddress,
      scheme: socket instanceof TLSSocket ? ('https' as const) : ('http' as const),
    }
    const { isDirect, ...client } = clientOrigin(headers, connection, trusted)
    ctx.state.client = client
    // A proxy's own certificate says nothing of those for whom it speaks.
    ctx.state.facts = { connection: socket, certificate: isDirect ? certificates?.(socket) : undefined }
    await next()
  }
}

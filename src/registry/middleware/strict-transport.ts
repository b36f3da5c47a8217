import { TLSSocket } from 'node:tls'
import type { RegistryMiddleware } from '../state.ts'

/**
 * Tells browsers to come with TLS only (RFC 6797, 6.1), on connections that have it. Where a proxy has the TLS, it is
 * the proxy's name, and what else is there is its business.
 */
export function strictTransport(seconds: number): RegistryMiddleware {
  return async (ctx, next) => {
    if (seconds > 0 && ctx.req.socket instanceof TLSSocket)
      ctx.set('Strict-Transport-Security', `max-age=${seconds}`)
    await next()
  }
}

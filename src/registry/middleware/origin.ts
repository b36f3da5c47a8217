import type { AddressRanges } from '../address-ranges.ts'
import { clientOrigin } from '../client-origin.ts'
import type { RegistryMiddleware } from '../state.ts'

/** Says who sent the request. */
export function origin(trusted: AddressRanges): RegistryMiddleware {
  return async (ctx, next) => {
    // Now, because a connection that has ended does not know its other end any more.
    ctx.state.client = clientOrigin(ctx.req.headers, ctx.req.socket.remoteAddress, trusted)
    await next()
  }
}

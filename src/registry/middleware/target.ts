import { DomainError } from '../../errors.ts'
import type { RegistryMiddleware } from '../state.ts'

/**
 * Turns a target in absolute form, which servers must take (RFC 9112, 3.2.2), into its path. Of any other that
 * is no path nothing is here, and Koa cannot parse all of them.
 */
export const target: RegistryMiddleware = async (ctx, next) => {
  if (!ctx.url.startsWith('/')) {
    const absolute = URL.parse(ctx.url)
    if (absolute === null)
      throw new DomainError('not_found', 'The request target is no path.', { resource: 'request' })
    ctx.url = absolute.pathname + absolute.search
  }
  await next()
}

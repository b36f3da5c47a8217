import { DomainError } from '../../errors.ts'
import type { RegistryMiddleware } from '../state.ts'

/** Who sends it, to whom, and how the body is to be read. Node keeps the first of several, where others keep the last. */
const single: ReadonlySet<string> = new Set(['authorization', 'host', 'content-type', 'content-range'])

/**
 * Refuses requests that say twice what there is once (RFC 9112, 3.2; RFC 9110, 5.3): what stands before this server may
 * have looked at the other one.
 */
export const singleHeaders: RegistryMiddleware = async (ctx, next) => {
  const seen = new Set<string>()
  const { rawHeaders } = ctx.req
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? ''
    if (!single.has(name)) continue
    if (seen.has(name))
      throw new DomainError('invalid', `The request has the header ${name} more than once.`, {
        resource: 'credential',
      })
    seen.add(name)
  }
  await next()
}

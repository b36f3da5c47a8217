import { randomUUID } from 'node:crypto'
import type { RegistryMiddleware } from '../state.ts'

/** What may go into logs and headers as somebody else wrote it. */
const sane = /^[A-Za-z0-9._-]{1,64}$/

/** Gives each request its id: the caller's own X-Request-Id when it is sane, so that logs of several services meet. */
export function requestId(newId: () => string = randomUUID): RegistryMiddleware {
  return async (ctx, next) => {
    const given = ctx.get('X-Request-Id')
    ctx.state.requestId = sane.test(given) ? given : newId()
    ctx.set('X-Request-Id', ctx.state.requestId)
    await next()
  }
}

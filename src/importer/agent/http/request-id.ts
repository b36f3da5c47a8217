import { randomUUID } from 'node:crypto'
import type { Middleware } from 'koa'

/** What may go into logs and headers as somebody else wrote it. */
const sane = /^[A-Za-z0-9._-]{1,64}$/

/** Gives each request its id: the caller's own X-Request-Id when it is sane, so that logs of several services meet. */
export function requestId(): Middleware {
  return async (context, next) => {
    const given = context.get('X-Request-Id')
    const id = sane.test(given) ? given : randomUUID()
    context.state['requestId'] = id
    context.set('X-Request-Id', id)
    await next()
  }
}

export function requestIdOf(state: Readonly<Record<string, unknown>>): string {
  return String(state['requestId'])
}

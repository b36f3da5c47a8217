import Router from '@koa/router'
import type { DefaultContext } from 'koa'
import { DomainError } from '../errors.ts'
import type { RegistryRequest } from './request.ts'
import { respond } from './respond.ts'
import type { Route } from './routes.ts'
import type { RegistryMiddleware, RegistryState } from './state.ts'

/**
 * A router over the table. Every path answers every method, so that a method that a path lacks is refused with
 * `Allow` and a JSON error, and can never fall through to another template.
 */
export function createRouter(routes: readonly Route[]): Router<RegistryState, DefaultContext> {
  const router = new Router<RegistryState, DefaultContext>({ sensitive: true, strict: true })
  for (const [path, operations] of groupByPath(routes)) {
    const byMethod = new Map(operations.map(route => [String(route.method), route]))
    const allow = [...byMethod.keys()].sort().join(', ')
    router.all(path, async ctx => {
      const params: Readonly<Record<string, string>> = ctx.params
      if (params['name'] !== undefined) ctx.state.repository = params['name']
      const route = byMethod.get(ctx.method)
      if (route === undefined) {
        ctx.set('Allow', allow)
        throw new DomainError('unsupported', `${ctx.method} is not possible here; use ${allow}.`, {
          resource: 'request',
        })
      }
      ctx.state.operation = route.operation
      const request: RegistryRequest = {
        method: ctx.method,
        params,
        query: new URLSearchParams(ctx.querystring),
        headers: ctx.req.headers,
        body: ctx.state.body,
        signal: ctx.state.signal,
      }
      respond(ctx, await route.handler(request))
    })
  }
  return router
}

/** What no template matches. */
export const refuseUnknownPath: RegistryMiddleware = ctx => {
  throw new DomainError('not_found', `${ctx.path.slice(0, 256)} is no endpoint of this registry.`, {
    resource: 'request',
  })
}

/** Keeps the order in which paths first appear. */
function groupByPath(routes: readonly Route[]): Map<string, Route[]> {
  const groups = new Map<string, Route[]>()
  for (const route of routes) groups.set(route.path, [...(groups.get(route.path) ?? []), route])
  return groups
}

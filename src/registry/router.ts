import Router from '@koa/router'
import type { DefaultContext } from 'koa'
import { DomainError } from '../errors.ts'
import type { MeantRepository, RepositoryNames } from './pull-through/requested-names.ts'
import type { RegistryRequest } from './request.ts'
import { respond } from './respond.ts'
import type { Route } from './routes.ts'
import type { RegistryContext, RegistryMiddleware, RegistryState } from './state.ts'

/**
 * A router over the table. Every path answers every method, so that a method that a path lacks is refused with
 * `Allow` and a JSON error, and can never fall through to another template.
 *
 * @param names which repository a request is about, where that is another than the one in its path. Nobody further in, from
 * who lets requests in to who logs them, hears of any other.
 */
export function createRouter(
  routes: readonly Route[],
  names?: RepositoryNames,
): Router<RegistryState, DefaultContext> {
  const router = new Router<RegistryState, DefaultContext>({ sensitive: true, strict: true })
  for (const [path, operations] of groupByPath(routes)) {
    const byMethod = new Map(operations.map(route => [String(route.method), route]))
    const allowed = operations.filter(route => route.refusal === undefined).map(route => route.method)
    const allow = allowed.sort().join(', ')
    router.all(path, async ctx => {
      const inPath: Readonly<Record<string, string>> = ctx.params
      if (inPath['name'] !== undefined) ctx.state.repository = inPath['name']
      const route = byMethod.get(ctx.method)
      ctx.state.route = path
      ctx.state.reference = inPath['reference'] ?? inPath['digest']
      if (route !== undefined) {
        ctx.state.operation = route.operation
        ctx.state.routed?.(route.operation)
      }
      if (route === undefined || route.refusal !== undefined) {
        ctx.set('Allow', allow)
        const why = route?.refusal ?? `${ctx.method} is not possible here; use ${allow}.`
        throw new DomainError('unsupported', why, { resource: 'request' })
      }
      const query = new URLSearchParams(ctx.querystring)
      const meant = await meantBy(ctx, route, inPath['name'], query, names)
      if (meant !== undefined) ctx.state.repository = meant.repository
      const request: RegistryRequest = {
        id: ctx.state.requestId,
        method: ctx.method,
        params: meant === undefined ? inPath : { ...inPath, name: meant.repository },
        query,
        headers: ctx.req.headers,
        client: ctx.state.client?.address ?? '',
        scheme: ctx.state.client?.scheme ?? 'http',
        body: ctx.state.body,
        signal: ctx.state.signal,
        facts: ctx.state.facts,
        reserve: ctx.state.reserve,
      }
      const reply = await route.handler(request)
      // distribution-spec, "Registry Proxying": what of it was heeded.
      if (meant?.namespace !== undefined) ctx.set('OCI-Namespace', meant.namespace)
      respond(ctx, reply)
    })
  }
  return router
}

async function meantBy(
  { req, state }: Pick<RegistryContext, 'req' | 'state'>,
  { operation }: Route,
  name: string | undefined,
  query: URLSearchParams,
  names: RepositoryNames | undefined,
): Promise<MeantRepository | undefined> {
  if (names === undefined || name === undefined) return undefined
  const request = { operation, name, namespace: query.get('ns'), host: req.headers.host }
  return await names.meantBy(request, { signal: state.signal })
}

/** What no template matches. */
export const refuseUnknownPath: RegistryMiddleware = ctx => {
  // distribution-spec, extensions/README.md: their names begin with an underscore, which no repository's does.
  const [, extension] = /^\/v2\/(?:.*\/)?(_[^/]*)\/[^/]+\/[^/]+$/.exec(ctx.path) ?? []
  if (extension !== undefined)
    throw new DomainError(
      'not_found',
      `This registry has no extension ${extension.slice(0, 128)} like that.`,
      {
        resource: 'extension',
      },
    )
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

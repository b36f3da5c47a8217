import Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import { DomainError } from '../../../errors.ts'
import { type Agent, type AgentAnswer, type AgentRoute, RawBody } from '../route.ts'
import { toWire } from '../wire.ts'
import { answerJson } from './failures.ts'
import { readJson } from './read-body.ts'

/** Requests to the agent are small documents. Bytes. */
const defaultMaxBodyBytes = 64 * 1024

/**
 * A router over the table. Every path answers every method, so that a method that a path lacks is refused with
 * `Allow`, and can never fall through to another template.
 */
export function createRouter(routes: readonly AgentRoute[], agent: Agent): Middleware {
  const router = new Router({ sensitive: true, strict: true })
  for (const [path, byMethod] of groupByPath(routes))
    router.all(path, async context => {
      context.state['route'] = path
      // RFC 9110, 9.3.2: HEAD is GET without the body.
      const route = byMethod.get(context.method === 'HEAD' ? 'GET' : context.method)
      if (route === undefined) refuseMethod(context, [...byMethod.keys()])
      else await runRoute(context, context.params as Record<string, string>, route, agent)
    })
  return router.routes() as Middleware
}

async function runRoute(
  context: Context,
  params: Readonly<Record<string, string>>,
  route: AgentRoute,
  agent: Agent,
): Promise<void> {
  const gone = new AbortController()
  context.res.once('close', () => gone.abort(new DOMException('the client has left', 'AbortError')))
  const answer = await route.run(
    {
      params,
      query: { ...context.query },
      body: async () => await readJson(context.req, route.maxBodyBytes ?? defaultMaxBodyBytes),
      signal: gone.signal,
    },
    agent,
  )
  send(context, answer)
}

function send(context: Context, { status, body, headers = {} }: AgentAnswer): void {
  context.set(headers)
  if (!(body instanceof RawBody)) {
    answerJson(context, status, body)
    return
  }
  const isLeftOut = context.method === 'HEAD' && typeof body.content !== 'string'
  if (isLeftOut) body.content.destroy()
  context.body = isLeftOut ? '' : body.content
  context.status = status
  context.set('Content-Type', body.type)
  if (isLeftOut) {
    // How long it would be nobody knows.
    context.remove('Content-Length')
    return
  }
  // What is followed may be silent for long; that it is followed can be told at once.
  if (typeof body.content !== 'string') context.flushHeaders()
}

function refuseMethod(context: Context, methods: readonly string[]): void {
  const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : [])].sort().join(', ')
  context.set('Allow', allow)
  const error = new DomainError(
    'unsupported',
    `${context.method} is not possible on ${context.path.slice(0, 256)}; use ${allow}.`,
    { resource: 'request' },
  )
  answerJson(context, 405, toWire(error))
}

/** What no template matches. */
export const refuseUnknownPath: Middleware = context => {
  throw new DomainError('not_found', `The agent has no ${context.path.slice(0, 256)}; see /openapi.json.`, {
    resource: 'request',
  })
}

function groupByPath(routes: readonly AgentRoute[]): Map<string, Map<string, AgentRoute>> {
  const groups = new Map<string, Map<string, AgentRoute>>()
  for (const route of routes) {
    const group = groups.get(route.path) ?? new Map<string, AgentRoute>()
    groups.set(route.path, group.set(route.method, route))
  }
  return groups
}

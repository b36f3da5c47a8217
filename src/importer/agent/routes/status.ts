import { setTimeout as sleep } from 'node:timers/promises'
import { isDomainError } from '../../../errors.ts'
import { version } from '../../../version.ts'
import type { PoolState } from '../pools.ts'
import { type AgentRoute, json, RawBody, route } from '../route.ts'
import { noBody, noQuery } from '../schemas/common.ts'
import { about, anything, live, ready } from '../schemas/status.ts'

/** How long a pool may take to answer before it counts as one that does not. */
const readyWithinMs = 5000

export const statusRoutes: readonly AgentRoute[] = [
  route({
    method: 'GET',
    path: '/livez',
    operation: 'live',
    summary: 'Whether the process answers. Needs no token.',
    query: noQuery,
    body: noBody,
    answers: { 200: { description: 'It does.', schema: live } },
    handle: () => json({ status: 'live' }),
  }),
  route({
    method: 'GET',
    path: '/readyz',
    operation: 'ready',
    summary: 'Whether each pool answers.',
    query: noQuery,
    body: noBody,
    answers: {
      200: { description: 'All do.', schema: ready },
      503: { description: 'Not all do; requests for the others are served.', schema: ready },
    },
    handle: async ({ signal }, { pools }) => {
      const states = await Promise.all(
        pools.list().map(async state => [state.name, await problemOf(state, signal)] as const),
      )
      const isReady = states.every(([, problem]) => problem === undefined)
      return json(
        {
          status: isReady ? 'ready' : 'not ready',
          pools: Object.fromEntries(states.map(([name, problem]) => [name, problem ?? 'ready'])),
        },
        isReady ? 200 : 503,
      )
    },
  }),
  route({
    method: 'GET',
    path: '/metrics',
    operation: 'metrics',
    summary: 'Metrics for Prometheus.',
    query: noQuery,
    body: noBody,
    answers: { 200: { description: 'Text format.', type: 'text/plain' } },
    handle: async (_request, { metrics }) => ({
      status: 200,
      body: new RawBody(metrics.contentType, await metrics.text()),
    }),
  }),
  route({
    method: 'GET',
    path: '/openapi.json',
    operation: 'openapi',
    summary: 'This description.',
    query: noQuery,
    body: noBody,
    answers: { 200: { description: 'OpenAPI 3.1.', schema: anything } },
    handle: (_request, { document }) => json(document),
  }),
  route({
    method: 'GET',
    path: '/v1',
    operation: 'about',
    summary: 'The version of the agent, and its pools.',
    query: noQuery,
    body: noBody,
    answers: { 200: { description: 'The default pool first.', schema: about } },
    handle: (_request, { pools }) =>
      json({
        version,
        pools: pools.list().map(({ name, open, problem }, index) => ({
          name,
          default: index === 0,
          open: open !== undefined,
          description: open?.description ?? problem?.message ?? 'It is being opened.',
        })),
      }),
  }),
]

/** undefined when the pool answers in time. */
async function problemOf({ open, problem }: PoolState, signal: AbortSignal): Promise<string | undefined> {
  if (open === undefined) return problem?.message ?? 'It is being opened.'
  const over = new AbortController()
  const either = AbortSignal.any([signal, over.signal])
  try {
    return await Promise.race([
      open.check({ signal: either }).then(() => undefined),
      sleep(readyWithinMs, `It has not answered within ${readyWithinMs / 1000} seconds.`, {
        signal: over.signal,
        ref: false,
      }),
    ])
  } catch (error) {
    if (isDomainError(error)) return error.message
    throw error
  } finally {
    over.abort()
  }
}

import Koa from 'koa'
import type { AgentMetrics } from '../../metrics/agent-metrics.ts'
import { errnoOf } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { authorize, type Tokens } from './http/authorize.ts'
import { failures } from './http/failures.ts'
import { observe } from './http/observe.ts'
import { requestId } from './http/request-id.ts'
import { createRouter, refuseUnknownPath } from './http/router.ts'
import { openApiDocument } from './openapi.ts'
import type { Pools } from './pools.ts'
import { agentRoutes } from './routes.ts'

export interface AgentAppParts {
  readonly pools: Pools
  readonly metrics: AgentMetrics
  readonly log: Logger
  /** Who may ask; everybody unless given, as on a socket that only root can open. */
  readonly tokens?: Tokens | undefined
}

/** What an answer fails with whose client leaves in the middle of it. */
const clientLeft: ReadonlySet<string> = new Set(['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE'])

/** The HTTP API that a provisioner calls: the table in `routes.ts`, described by `/openapi.json`. */
export function createAgentApp({ pools, metrics, log, tokens }: AgentAppParts): Koa {
  const app = new Koa()
  app.use(requestId())
  app.use(observe(log, metrics))
  app.use(failures(log))
  if (tokens !== undefined) app.use(authorize(tokens, log))
  app.use(createRouter(agentRoutes, { pools, metrics, log, document: openApiDocument(agentRoutes) }))
  app.use(refuseUnknownPath)
  app.on('error', (error: unknown) => {
    if (!clientLeft.has(errnoOf(error) ?? '')) log.error({ error }, 'unexpected error')
  })
  return app
}

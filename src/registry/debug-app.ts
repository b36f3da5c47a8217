import Koa from 'koa'
import type { Logger } from '../log.ts'
import type { MetricsText } from '../metrics/metrics.ts'
import { BufferBudget } from '../storage/blobs/buffer-budget.ts'
import { defaultBodyPace } from './body-pace.ts'
import { type DebugOperation, debugEndpoints } from './endpoints.ts'
import type { Handler } from './handler.ts'
import { createEventStreamHandler, type ReadableEvents } from './handlers/events.ts'
import { createDebugHealthHandler, createReadyHandler, getLive } from './handlers/health.ts'
import { createMetricsHandler } from './handlers/metrics.ts'
import { createOpenApiHandler } from './handlers/openapi.ts'
import type { HealthChecks } from './health.ts'
import { logLateFailures } from './late-failures.ts'
import { defaultLeftoverLimits } from './leftover.ts'
import { commonHeaders } from './middleware/common-headers.ts'
import { errors } from './middleware/errors.ts'
import { exchange } from './middleware/exchange.ts'
import { requestId } from './middleware/request-id.ts'
import { target } from './middleware/target.ts'
import { createRouter, refuseUnknownPath } from './router.ts'
import type { RegistryState } from './state.ts'

export interface DebugAppOptions {
  readonly log: Logger
  readonly metrics: MetricsText
  readonly checks: HealthChecks
  readonly events: ReadableEvents
  /** Ends answers that would go on. */
  readonly stopping: AbortSignal
}

/** Metrics, health and debug for operators. There is no access log: those who ask do so every few seconds. */
export function createDebugApp({
  log,
  metrics,
  checks,
  events,
  stopping,
}: DebugAppOptions): Koa<RegistryState> {
  const handlers: Readonly<Record<DebugOperation, Handler>> = {
    live: getLive,
    ready: createReadyHandler(checks),
    openapi: createOpenApiHandler(),
    metrics: createMetricsHandler(metrics),
    'debug.health': createDebugHealthHandler(checks),
    events: createEventStreamHandler(events, stopping),
  }
  const routes = debugEndpoints.map(endpoint => ({ ...endpoint, handler: handlers[endpoint.operation] }))
  const app = new Koa<RegistryState>()
  app.use(errors(log))
  // Nothing here reads a body.
  const buffers = new BufferBudget({ limitBytes: 2, partBytes: 1 })
  app.use(exchange({ leftoverLimits: defaultLeftoverLimits, bodyPace: defaultBodyPace, buffers, log }))
  app.use(requestId())
  app.use(commonHeaders)
  app.use(target)
  app.use(createRouter(routes).routes())
  app.use(refuseUnknownPath)
  logLateFailures(app, log)
  return app
}

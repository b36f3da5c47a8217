import type { Middleware } from 'koa'
import type { AgentMetrics } from '../../../metrics/agent-metrics.ts'
import type { Logger } from '../../../log.ts'
import { requestIdOf } from './request-id.ts'

/** In place of the status when the client left before its answer was complete: nginx's word, which log tools know. */
const clientClosedRequest = 499
/** Characters of what anybody may fill with anything. */
const maxShown = 512

/**
 * Tells each request once, when its answer has ended: a line, and the metrics. Never its query and never a header:
 * these can hold credentials.
 */
export function observe(log: Logger, metrics: Pick<AgentMetrics, 'requestDone'>): Middleware {
  return async (context, next) => {
    const started = performance.now()
    const { res, state } = context
    // Now: a request that was not read to its end has no socket any more when its answer is closed.
    const client = context.req.socket.remoteAddress
    res.once('close', () => {
      const milliseconds = Math.round(performance.now() - started)
      const status = res.writableFinished ? res.statusCode : clientClosedRequest
      const route = typeof state['route'] === 'string' ? state['route'] : 'none'
      metrics.requestDone(route, context.method, status, milliseconds / 1000)
      log.info(
        {
          requestId: requestIdOf(state),
          method: context.method,
          path: context.path.slice(0, maxShown),
          route,
          status,
          milliseconds,
          ...(client === undefined ? {} : { client }),
        },
        'request',
      )
    })
    await next()
  }
}

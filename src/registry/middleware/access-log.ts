import type { Logger } from '../../log.ts'
import type { RegistryMiddleware } from '../state.ts'

/** Characters: longer paths name nothing that exists. */
const maxLoggedPath = 1024

/** In place of the status when the client left before its answer was complete: nginx's word, which log tools know. */
const clientClosedRequest = 499

/**
 * One line for each request, when both its handler and its connection are done with it. Never the query and never
 * a header: both can hold credentials.
 */
export function accessLog(
  log: Logger,
  now: () => number = performance.now.bind(performance),
): RegistryMiddleware {
  return async (ctx, next) => {
    const { req, res, state } = ctx
    const { socket } = req
    const startedAt = now()
    const writtenBefore = socket.bytesWritten
    const client = socket.remoteAddress
    const write = () => {
      log.info(
        {
          requestId: state.requestId,
          method: ctx.method,
          path: pathOf(ctx.url),
          operation: state.operation,
          repository: state.repository,
          status: res.writableFinished ? res.statusCode : clientClosedRequest,
          errorCode: state.errorCode,
          /** Of the body, as far as it was read. */
          bytesIn: state.body.received,
          /** Of the whole answer as written to the connection, headers included. */
          bytesOut: socket.bytesWritten - writtenBefore,
          durationMs: Math.round((now() - startedAt) * 1000) / 1000,
          client,
        },
        'request',
      )
    }
    try {
      await next()
    } finally {
      if (res.closed) write()
      else res.once('close', write)
    }
  }
}

/** Undefined for a target that is no path: what it is then, credentials perhaps, nobody knows. */
function pathOf(url: string): string | undefined {
  return url.startsWith('/') ? url.split('?', 1)[0]?.slice(0, maxLoggedPath) : undefined
}

import type Koa from 'koa'
import { errnoOf, isAbort } from '../errors.ts'
import type { Logger } from '../log.ts'

/** What Node reports when it was the client that closed, reset or garbled the connection. */
const connectionFailures: ReadonlySet<string> = new Set([
  'ECANCELED', // a write that was under way when the connection went
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'HPE_INVALID_EOF_STATE',
])

/** Logs bodies that fail after their headers went out; Koa has cut the connection, so the client sees a short body. */
export function logLateFailures(app: Pick<Koa, 'on'>, log: Logger): void {
  app.on('error', (error: unknown, ctx?: Koa.Context) => {
    if (isAbort(error) || connectionFailures.has(errnoOf(error) ?? '')) return
    log.error(
      { requestId: ctx?.state['requestId'], operation: ctx?.state['operation'], error },
      'answer broken off',
    )
  })
}

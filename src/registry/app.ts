import Koa from 'koa'
import { errnoOf, isAbort } from '../errors.ts'
import type { Logger } from '../log.ts'
import { defaultLeftoverLimits, type LeftoverLimits } from './leftover.ts'
import { accessLog } from './middleware/access-log.ts'
import { commonHeaders } from './middleware/common-headers.ts'
import { errors } from './middleware/errors.ts'
import { exchange } from './middleware/exchange.ts'
import { requestId } from './middleware/request-id.ts'
import { target } from './middleware/target.ts'
import { createRouter, refuseUnknownPath } from './router.ts'
import { type RegistryServices, registryRoutes } from './routes.ts'
import type { RegistryState } from './state.ts'
import { createUploadStates } from './upload-state.ts'

export interface RegistryAppOptions extends RegistryServices {
  readonly log: Logger
  /** Signs the state in upload Locations; the same for all replicas. Random, and so of this process, unless given. */
  readonly uploadSecret?: Uint8Array | undefined
  readonly leftoverLimits?: LeftoverLimits | undefined
}

/** Puts the registry's HTTP interface together. The stores are the caller's: made, shared and closed there. */
export function createRegistryApp(options: RegistryAppOptions): Koa<RegistryState> {
  const { log, uploadSecret, leftoverLimits = defaultLeftoverLimits } = options
  const app = new Koa<RegistryState>()
  app.use(errors(log))
  app.use(exchange(leftoverLimits))
  app.use(accessLog(log))
  app.use(requestId())
  app.use(commonHeaders)
  app.use(target)
  app.use(createRouter(registryRoutes(options, createUploadStates(uploadSecret))).routes())
  app.use(refuseUnknownPath)
  app.on('error', (error: unknown, ctx?: Koa.Context) => logLateFailure(log, error, ctx))
  return app
}

/** What Node reports when it was the client that closed, reset or garbled the connection. */
const connectionFailures: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'HPE_INVALID_EOF_STATE',
])

/** A body that fails after its headers went out; Koa has destroyed the connection, so the client sees a short body. */
function logLateFailure(log: Logger, error: unknown, ctx: Koa.Context | undefined): void {
  if (isAbort(error) || connectionFailures.has(errnoOf(error) ?? '')) return
  log.error(
    { requestId: ctx?.state['requestId'], operation: ctx?.state['operation'], error },
    'answer broken off',
  )
}

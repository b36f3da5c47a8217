import Koa from 'koa'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { defaultBlobStoreSettings } from '../storage/blobs/blob-store-parts.ts'
import { BufferBudget, defaultUploadMemoryBytes } from '../storage/blobs/buffer-budget.ts'
import { type AddressRanges, addressRanges } from './address-ranges.ts'
import { type BodyPace, defaultBodyPace } from './body-pace.ts'
import { logLateFailures } from './late-failures.ts'
import { defaultLeftoverLimits, type LeftoverLimits } from './leftover.ts'
import { accessLog } from './middleware/access-log.ts'
import { commonHeaders } from './middleware/common-headers.ts'
import { errors } from './middleware/errors.ts'
import { exchange } from './middleware/exchange.ts'
import { observe } from './middleware/observe.ts'
import { origin } from './middleware/origin.ts'
import { requestId } from './middleware/request-id.ts'
import { target } from './middleware/target.ts'
import { createRouter, refuseUnknownPath } from './router.ts'
import { defaultRegistryRules, type RegistryRules, type RegistryServices, registryRoutes } from './routes.ts'
import type { RegistryState } from './state.ts'
import { createUploadStates } from './upload-state.ts'

export interface RegistryAppOptions extends RegistryServices {
  readonly log: Logger
  /** Signs the state in upload Locations; the same for all replicas. Random, and so of this process, unless given. */
  readonly uploadSecret?: Uint8Array | undefined
  readonly leftoverLimits?: LeftoverLimits | undefined
  readonly bodyPace?: BodyPace | undefined
  /** Whose word about the client's address is believed; nobody's unless given. */
  readonly trustedProxies?: AddressRanges | undefined
  /** Where the memory for manifests comes from; the same as the BlobStore's. */
  readonly buffers?: BufferBudget | undefined
  readonly metrics?: Metrics | undefined
  /** What is not given is as in {@link defaultRegistryRules}. */
  readonly rules?: Partial<RegistryRules> | undefined
}

/** Puts the registry's HTTP interface together. The stores are the caller's: made, shared and closed there. */
export function createRegistryApp(options: RegistryAppOptions): Koa<RegistryState> {
  const {
    log,
    metrics,
    uploadSecret,
    leftoverLimits = defaultLeftoverLimits,
    bodyPace = defaultBodyPace,
    trustedProxies: trusted = addressRanges([]),
    buffers = new BufferBudget({
      limitBytes: defaultUploadMemoryBytes,
      partBytes: defaultBlobStoreSettings.partSizeBytes,
    }),
  } = options
  const rules = { ...defaultRegistryRules, ...options.rules }
  const app = new Koa<RegistryState>()
  app.use(errors(log))
  app.use(exchange({ leftoverLimits, bodyPace, buffers, log }))
  app.use(origin(trusted))
  app.use(observe(accessLog(log), metrics))
  app.use(requestId())
  app.use(commonHeaders)
  app.use(target)
  const routes = registryRoutes(options, createUploadStates(uploadSecret), rules)
  app.use(createRouter(routes).routes())
  app.use(refuseUnknownPath)
  logLateFailures(app, log)
  return app
}

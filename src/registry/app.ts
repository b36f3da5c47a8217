import { randomBytes } from 'node:crypto'
import Koa from 'koa'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { defaultBlobStoreSettings } from '../storage/blobs/blob-store-parts.ts'
import { BufferBudget, defaultUploadMemoryBytes } from '../storage/blobs/buffer-budget.ts'
import { type AddressRanges, addressRanges } from '../storage/address-ranges.ts'
import type { ClientCertificates } from './auth/certificates/client-certificates.ts'
import { type BodyPace, defaultBodyPace } from './body-pace.ts'
import { createHiddenPositions } from './hidden-positions.ts'
import { logLateFailures } from './late-failures.ts'
import { defaultLeftoverLimits, type LeftoverLimits } from './leftover.ts'
import { accessLog } from './middleware/access-log.ts'
import { commonHeaders } from './middleware/common-headers.ts'
import { errors } from './middleware/errors.ts'
import { exchange } from './middleware/exchange.ts'
import { observe } from './middleware/observe.ts'
import { origin } from './middleware/origin.ts'
import { requestId } from './middleware/request-id.ts'
import { singleHeaders } from './middleware/single-headers.ts'
import { strictTransport } from './middleware/strict-transport.ts'
import { target } from './middleware/target.ts'
import { createRouter, refuseUnknownPath } from './router.ts'
import { defaultRegistryRules, type RegistryRules, type RegistryServices, registryRoutes } from './routes.ts'
import type { RegistryState } from './state.ts'
import { createUploadStates } from './upload-state.ts'

export interface RegistryAppOptions extends RegistryServices {
  readonly log: Logger
  /**
   * Signs the state in upload Locations and hides positions in lists; the same for all replicas. Random, and so of this
   * process, unless given.
   */
  readonly uploadSecret?: Uint8Array | undefined
  readonly leftoverLimits?: LeftoverLimits | undefined
  readonly bodyPace?: BodyPace | undefined
  /** Whose word about the client's address is believed; nobody's unless given. */
  readonly trustedProxies?: AddressRanges | undefined
  /** Whom certificates of clients stand for; nobody unless given. */
  readonly clientCertificates?: ClientCertificates | undefined
  /** How long browsers are told to come with TLS only, where they have come so; 0, and so not, unless given. */
  readonly hstsSeconds?: number | undefined
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
    uploadSecret: secret = randomBytes(32),
    leftoverLimits = defaultLeftoverLimits,
    bodyPace = defaultBodyPace,
    trustedProxies: trusted = addressRanges([]),
    clientCertificates,
    hstsSeconds = 0,
    buffers = new BufferBudget({
      limitBytes: defaultUploadMemoryBytes,
      partBytes: defaultBlobStoreSettings.partSizeBytes,
    }),
  } = options
  const rules = { ...defaultRegistryRules, ...options.rules }
  const app = new Koa<RegistryState>()
  app.use(errors(log))
  app.use(exchange({ leftoverLimits, bodyPace, buffers, log }))
  app.use(origin(trusted, clientCertificates))
  app.use(observe(accessLog(log), metrics))
  app.use(requestId())
  app.use(commonHeaders)
  app.use(strictTransport(hstsSeconds))
  app.use(singleHeaders)
  app.use(target)
  const routes = registryRoutes(options, createUploadStates(secret), rules, createHiddenPositions(secret))
  app.use(createRouter(routes, options.pullThrough?.names).routes())
  app.use(refuseUnknownPath)
  logLateFailures(app, log)
  return app
}

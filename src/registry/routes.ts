import type { BlobStore } from '../storage/blobs/blob-store.ts'
import type { RequiredReferences } from '../storage/manifest.ts'
import type { Metadata } from '../storage/metadata/metadata.ts'
import { authorized } from './auth/authorize.ts'
import { OpenAccess } from './auth/open-access.ts'
import { type Endpoint, type Operation, registryEndpoints } from './endpoints.ts'
import type { PullLog } from './events/pull-recorder.ts'
import type { Handler, HandlerLayer } from './handler.ts'
import { getBase } from './handlers/base.ts'
import { createBlobHandlers } from './handlers/blobs.ts'
import { createCatalogHandler } from './handlers/catalog.ts'
import { createRepositoryExtensionsHandler, discoverRegistryExtensions } from './handlers/extensions.ts'
import { createReadyHandler, getLive } from './handlers/health.ts'
import { createManifestHandlers } from './handlers/manifests.ts'
import { createOpenApiHandler } from './handlers/openapi.ts'
import { notePulls, recordPulls } from './handlers/pulls.ts'
import { createReferrersHandler } from './handlers/referrers.ts'
import { createStartUploadHandler } from './handlers/start-upload.ts'
import { createListTagsHandler } from './handlers/tags.ts'
import { createUploadHandlers } from './handlers/uploads.ts'
import type { HealthChecks } from './health.ts'
import { createHiddenPositions, type HiddenPositions } from './hidden-positions.ts'
import type { BlobRedirects } from './redirects.ts'
import type { RepositoryNames } from './pull-through/requested-names.ts'
import type { PullNoter } from './retention/pull-notes.ts'
import type { RegistrySecurity } from './security.ts'
import type { UploadStates } from './upload-state.ts'

export interface Route extends Endpoint {
  readonly handler: Handler
  /** Why this method is not to be had now, in one sentence. The path still has it, but `Allow` does not name it. */
  readonly refusal?: string | undefined
}

/** What the handlers work on. */
export interface RegistryServices {
  readonly blobs: BlobStore
  readonly metadata: RegistryMetadata
  /** What /readyz asks; the metadata alone unless given. */
  readonly checks?: HealthChecks | undefined
  /** Told of pulls, if anybody wants to know. */
  readonly pulls?: PullLog | undefined
  /** Told of manifests that are in use, by whoever asks for one. */
  readonly pullNotes?: PullNoter | undefined
  /** Who may do what; everybody everything unless given. */
  readonly security?: RegistrySecurity | undefined
  /** Copies of other registries; none unless given. */
  readonly pullThrough?: PullThroughParts | undefined
}

export interface PullThroughParts {
  readonly names: RepositoryNames
  /**
   * Next to the handlers, within the trust policies: they look at what is answered, and that may come from upstream without
   * ever being kept here.
   */
  readonly layer: HandlerLayer
}

/** The roles of the metadata that handlers use themselves; upload sessions belong to the BlobStore. */
export type RegistryMetadata = Pick<
  Metadata,
  | 'ping'
  | 'hasRepository'
  | 'listRepositories'
  | 'listRepositoriesOf'
  | 'repositoriesWithBlob'
  | 'putManifest'
  | 'getManifest'
  | 'statManifest'
  | 'deleteManifest'
  | 'listReferrers'
  | 'listTags'
  | 'deleteTag'
  | 'unlinkBlob'
>

/** What this registry allows. */
export interface RegistryRules {
  /** Whether pushes and deletes are refused. */
  readonly readOnly: boolean
  readonly requireReferences: RequiredReferences
  /** Undefined: every blob is sent by this process. */
  readonly redirects: BlobRedirects | undefined
}

export const defaultRegistryRules: RegistryRules = Object.freeze({
  readOnly: false,
  requireReferences: 'blobs',
  redirects: undefined,
})

/** The whole API: each endpoint with what answers it. */
export function registryRoutes(
  {
    blobs,
    metadata,
    checks = { metadata: options => metadata.ping(options) },
    pulls,
    pullNotes,
    security = { access: new OpenAccess() },
    pullThrough,
  }: RegistryServices,
  uploadStates: UploadStates,
  { readOnly, requireReferences, redirects }: RegistryRules = defaultRegistryRules,
  positions: HiddenPositions = createHiddenPositions(),
): readonly Route[] {
  const blob = createBlobHandlers(blobs, metadata, redirects)
  const manifest = createManifestHandlers(metadata, requireReferences)
  const through = (operation: Operation, handler: Handler): Handler =>
    pullThrough?.layer.around(operation, handler) ?? handler
  const obtainManifest = through('manifest.get', manifest.get)
  const getManifest = security.trust?.around('manifest.get', obtainManifest) ?? obtainManifest
  const upload = createUploadHandlers(blobs, uploadStates)
  const startUpload = createStartUploadHandler(blobs, metadata, uploadStates)
  const catalog = createCatalogHandler(metadata, positions)
  const listTags = createListTagsHandler(metadata)
  const referrers = createReferrersHandler(metadata)
  const extensions = createRepositoryExtensionsHandler(metadata)
  const ready = createReadyHandler(checks)
  const openapi = createOpenApiHandler()

  const handlers: Readonly<Record<Operation, Handler>> = {
    live: getLive,
    ready,
    openapi,
    base: getBase,
    catalog,
    extensions: discoverRegistryExtensions,
    'upload.start': through('upload.start', startUpload),
    'upload.status': through('upload.status', upload.status),
    'upload.append': through('upload.append', upload.append),
    'upload.finish': through('upload.finish', upload.finish),
    'upload.cancel': upload.cancel,
    'blob.get': recordPulls('blob', through('blob.get', blob.get), pulls),
    'blob.head': through('blob.head', blob.head),
    'blob.delete': blob.delete,
    'manifest.get': recordPulls('manifest', notePulls(getManifest, pullNotes), pulls),
    'manifest.head': notePulls(through('manifest.head', manifest.head), pullNotes),
    'manifest.put': through('manifest.put', manifest.put),
    'manifest.delete': manifest.delete,
    'tags.list': through('tags.list', listTags),
    referrers: through('referrers', referrers),
    'repository.extensions': extensions,
  }
  const routes = registryEndpoints.map(endpoint => ({
    ...endpoint,
    handler: secured(endpoint.operation, handlers[endpoint.operation], security),
  }))
  return [...(readOnly ? routes.map(refuseChange) : routes), ...ownRoutes(security)]
}

/** The layers around a handler, in the order that {@link RegistrySecurity} gives reasons for. */
function secured(
  operation: Operation,
  handler: Handler,
  { access, audit, limits }: RegistrySecurity,
): Handler {
  const limited = limits?.around(operation, handler) ?? handler
  const known = authorized(access, operation, limited)
  return audit?.around(operation, known) ?? known
}

function ownRoutes({ routes = [], audit, limits }: RegistrySecurity): Route[] {
  return routes.map(route => {
    const limited = limits?.around(route.operation, route.handler) ?? route.handler
    return { ...route, handler: audit?.around(route.operation, limited) ?? limited }
  })
}

/** Reading changes nothing, so all else does. */
function refuseChange(route: Route): Route {
  if (route.method === 'GET' || route.method === 'HEAD') return route
  return { ...route, refusal: 'This registry is read-only now, so nothing can be pushed to it or deleted.' }
}

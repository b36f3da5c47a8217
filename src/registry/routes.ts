import type { BlobStore } from '../storage/blobs/blob-store.ts'
import type { Metadata } from '../storage/metadata/metadata.ts'
import type { Handler } from './handler.ts'
import { getBase } from './handlers/base.ts'
import { createBlobHandlers } from './handlers/blobs.ts'
import { createCatalogHandler } from './handlers/catalog.ts'
import { createReadyHandler, getLive } from './handlers/health.ts'
import { createManifestHandlers } from './handlers/manifests.ts'
import { createStartUploadHandler } from './handlers/start-upload.ts'
import { createListTagsHandler } from './handlers/tags.ts'
import { createUploadHandlers } from './handlers/uploads.ts'
import type { UploadStates } from './upload-state.ts'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Route {
  readonly method: Method
  /** Template of @koa/router; `*name` takes as much of the path as it can, so templates match from the right. */
  readonly path: string
  /** Stable name of the operation, for logs and metrics. */
  readonly operation: string
  readonly handler: Handler
}

/** What the handlers work on. */
export interface RegistryServices {
  readonly blobs: BlobStore
  readonly metadata: RegistryMetadata
}

/** The roles of the metadata that handlers use themselves; upload sessions belong to the BlobStore. */
export type RegistryMetadata = Pick<
  Metadata,
  | 'ping'
  | 'listRepositories'
  | 'putManifest'
  | 'getManifest'
  | 'statManifest'
  | 'deleteManifest'
  | 'listTags'
  | 'deleteTag'
  | 'unlinkBlob'
>

/**
 * The whole API. The order of the paths decides where two templates match one path: uploads come before
 * blobs, whose `:digest` would take `uploads` too.
 */
export function registryRoutes(
  { blobs, metadata }: RegistryServices,
  uploadStates: UploadStates,
): readonly Route[] {
  const blob = createBlobHandlers(blobs, metadata)
  const manifest = createManifestHandlers(metadata)
  const upload = createUploadHandlers(blobs, uploadStates)
  const startUpload = createStartUploadHandler(blobs, uploadStates)
  const catalog = createCatalogHandler(metadata)
  const listTags = createListTagsHandler(metadata)
  const ready = createReadyHandler(metadata)

  const uploadRows: readonly Row[] = [
    ['GET', 'upload.status', upload.status],
    ['PATCH', 'upload.append', upload.append],
    ['PUT', 'upload.finish', upload.finish],
    ['DELETE', 'upload.cancel', upload.cancel],
  ]

  return [
    ...at('/livez', getAndHead('live', getLive)),
    ...at('/readyz', getAndHead('ready', ready)),
    ...at('/v2', getAndHead('base', getBase)),
    ...at('/v2/', getAndHead('base', getBase)),
    ...at('/v2/_catalog', getAndHead('catalog', catalog)),
    ...at('/v2/*name/blobs/uploads/', [['POST', 'upload.start', startUpload]]),
    ...at('/v2/*name/blobs/uploads', [['POST', 'upload.start', startUpload]]),
    ...at('/v2/*name/blobs/uploads/:id', uploadRows),
    ...at('/v2/*name/blobs/uploads/:id/', uploadRows),
    ...at('/v2/*name/blobs/:digest', [
      ['GET', 'blob.get', blob.get],
      ['HEAD', 'blob.head', blob.head],
      ['DELETE', 'blob.delete', blob.delete],
    ]),
    ...at('/v2/*name/manifests/:reference', [
      ['GET', 'manifest.get', manifest.get],
      ['HEAD', 'manifest.head', manifest.head],
      ['PUT', 'manifest.put', manifest.put],
      ['DELETE', 'manifest.delete', manifest.delete],
    ]),
    ...at('/v2/*name/tags/list', getAndHead('tags.list', listTags)),
  ]
}

type Row = readonly [method: Method, operation: string, handler: Handler]

function at(path: string, rows: readonly Row[]): Route[] {
  return rows.map(([method, operation, handler]) => ({ method, path, operation, handler }))
}

/** For answers that are small and made in memory, HEAD is GET without the body. */
function getAndHead(operation: string, handler: Handler): Row[] {
  return [
    ['GET', operation, handler],
    ['HEAD', operation, handler],
  ]
}

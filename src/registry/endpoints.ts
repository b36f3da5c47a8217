export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One method of one path. */
export interface Endpoint<Name extends string = string> {
  readonly method: Method
  /** Template of @koa/router; `*name` takes as much of the path as it can, so templates match from the right. */
  readonly path: string
  /** Stable name of the operation, for logs and metrics. */
  readonly operation: Name
}

/** What the registry can do, by its stable names. */
export type Operation =
  | 'live'
  | 'ready'
  | 'openapi'
  | 'base'
  | 'catalog'
  | 'extensions'
  | 'upload.start'
  | 'upload.status'
  | 'upload.append'
  | 'upload.finish'
  | 'upload.cancel'
  | 'blob.get'
  | 'blob.head'
  | 'blob.delete'
  | 'manifest.get'
  | 'manifest.head'
  | 'manifest.put'
  | 'manifest.delete'
  | 'tags.list'
  | 'referrers'
  | 'repository.extensions'

/** What the token service can do. */
export type TokenOperation = 'token.get' | 'token.post' | 'jwks'

/** What the second server, for operators, can do. */
export type DebugOperation = 'live' | 'ready' | 'openapi' | 'metrics' | 'debug.health' | 'events'

type Row<Name extends string> = readonly [method: Method, operation: Name]

const uploadRows: readonly Row<Operation>[] = [
  ['GET', 'upload.status'],
  ['PATCH', 'upload.append'],
  ['PUT', 'upload.finish'],
  ['DELETE', 'upload.cancel'],
]

/**
 * The whole API. The order of the paths decides where two templates match one path: uploads come before
 * blobs, whose `:digest` would take `uploads` too.
 */
export const registryEndpoints: readonly Endpoint<Operation>[] = [
  ...at<Operation>('/livez', getAndHead('live')),
  ...at<Operation>('/readyz', getAndHead('ready')),
  ...at<Operation>('/openapi.json', getAndHead('openapi')),
  ...at<Operation>('/v2', getAndHead('base')),
  ...at<Operation>('/v2/', getAndHead('base')),
  ...at<Operation>('/v2/_catalog', getAndHead('catalog')),
  ...at<Operation>('/v2/_oci/ext/discover', getAndHead('extensions')),
  ...at<Operation>('/v2/*name/blobs/uploads/', [['POST', 'upload.start']]),
  ...at<Operation>('/v2/*name/blobs/uploads', [['POST', 'upload.start']]),
  ...at<Operation>('/v2/*name/blobs/uploads/:id', uploadRows),
  ...at<Operation>('/v2/*name/blobs/uploads/:id/', uploadRows),
  ...at<Operation>('/v2/*name/blobs/:digest', [
    ['GET', 'blob.get'],
    ['HEAD', 'blob.head'],
    ['DELETE', 'blob.delete'],
  ]),
  ...at<Operation>('/v2/*name/manifests/:reference', [
    ['GET', 'manifest.get'],
    ['HEAD', 'manifest.head'],
    ['PUT', 'manifest.put'],
    ['DELETE', 'manifest.delete'],
  ]),
  ...at<Operation>('/v2/*name/tags/list', getAndHead('tags.list')),
  ...at<Operation>('/v2/*name/referrers/:digest', getAndHead('referrers')),
  ...at<Operation>('/v2/*name/_oci/ext/discover', getAndHead('repository.extensions')),
]

/** Those of the token service, which is there with `auth.mode: token`. distribution's own is at the second path. */
export const tokenEndpoints: readonly Endpoint<TokenOperation>[] = [
  ...['/token', '/auth/token', '/auth/token/'].flatMap(path =>
    at<TokenOperation>(path, [
      ['GET', 'token.get'],
      ['POST', 'token.post'],
    ]),
  ),
  ...at<TokenOperation>('/.well-known/jwks.json', getAndHead('jwks')),
]

/** What wakes mirror jobs, which is there with `mirror.hookTokenFile`. */
export const mirrorHookEndpoint: Endpoint<'mirror.hook'> = {
  method: 'POST',
  path: '/api/v1/mirror/hooks/:job',
  operation: 'mirror.hook',
}

/** The second server's: on an address that only operators reach. */
export const debugEndpoints: readonly Endpoint<DebugOperation>[] = [
  ...at<DebugOperation>('/livez', getAndHead('live')),
  ...at<DebugOperation>('/readyz', getAndHead('ready')),
  ...at<DebugOperation>('/openapi.json', getAndHead('openapi')),
  ...at<DebugOperation>('/metrics', getAndHead('metrics')),
  ...at<DebugOperation>('/debug/health', getAndHead('debug.health')),
  ...at<DebugOperation>('/events', [['GET', 'events']]),
]

function at<Name extends string>(path: string, rows: readonly Row<Name>[]): Endpoint<Name>[] {
  return rows.map(([method, operation]) => ({ method, path, operation }))
}

/** For answers that are small and made in memory, HEAD is GET without the body. */
function getAndHead<Name extends string>(operation: Name): Row<Name>[] {
  return [
    ['GET', operation],
    ['HEAD', operation],
  ]
}

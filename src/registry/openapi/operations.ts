import type { ErrorCode, Resource } from '../../errors.ts'
import { mediaTypes } from '../../storage/media-types.ts'
import type { DebugOperation, Operation, TokenOperation } from '../endpoints.ts'
import { type Parameter, parameters } from './parameters.ts'
import type { SchemaName } from './schemas.ts'

/** A row of the table in errcode.ts; or a question that has come round, by way of an upstream. */
export type Failure = `${ErrorCode} ${Resource}` | `${ErrorCode} registry loop`

export interface Success {
  readonly description: string
  /** Names of the headers that matter to clients. */
  readonly headers?: readonly string[]
  readonly content?: { readonly type: string; readonly schema?: SchemaName }
}

/** What is known of an operation beside its method and path. */
export interface OperationDescription {
  readonly summary: string
  readonly parameters?: readonly Parameter[]
  /** Media type of the request's body. */
  readonly body?: string
  /** By status. */
  readonly successes: Readonly<Record<number, Success>>
  readonly failures: readonly Failure[]
}

const octets = 'application/octet-stream'
const json = (schema: SchemaName) => ({ type: 'application/json', schema })
const notModified: Success = { description: 'If-None-Match names what is here.', headers: ['ETag'] }
const created: Success = { description: 'Stored.', headers: ['Location', 'Docker-Content-Digest'] }
const session: Success = {
  description: 'Where the upload session stands.',
  headers: ['Location', 'Range', 'Docker-Upload-UUID'],
}
const blobHeaders = ['Docker-Content-Digest', 'ETag', 'Accept-Ranges', 'Content-Length']
const manifestHeaders = ['Docker-Content-Digest', 'ETag', 'Content-Length']
const pageHeaders = ['Link']
const { pageSize, pageAfter } = parameters

const live: OperationDescription = {
  summary: 'Whether the process answers.',
  successes: { 200: { description: 'It does.', content: json('Live') } },
  failures: [],
}
const ready: OperationDescription = {
  summary: 'Whether requests can be served: metadata and objects answer.',
  successes: { 200: { description: 'They can.', content: json('Ready') } },
  failures: ['unavailable request'],
}
const openapi: OperationDescription = {
  summary: 'This description.',
  successes: { 200: { description: 'OpenAPI 3.1.', content: json('OpenApi') } },
  failures: [],
}
const uploadFailures: readonly Failure[] = [
  'invalid repository',
  'not_found upload',
  'unsupported request',
  'unavailable upload',
]
const writeFailures: readonly Failure[] = [
  ...uploadFailures,
  'invalid upload',
  'size_mismatch upload',
  'out_of_range upload',
  'no_space object',
]
const blobFailures: readonly Failure[] = [
  'invalid repository',
  'invalid digest',
  'not_found blob',
  'unavailable blob',
]

/** Of what may be asked of an upstream. */
const loopFailures: readonly Failure[] = ['unsupported registry loop', 'invalid registry loop']

const manifestFailures: readonly Failure[] = [
  'invalid repository',
  'invalid digest',
  'not_found manifest',
  'unavailable manifest',
  ...loopFailures,
]

const tokenFailures: readonly Failure[] = [
  'invalid credential',
  'unauthorized registry',
  'throttled account',
  'unavailable database',
]

export const operationDescriptions: Readonly<
  Record<Operation | TokenOperation | DebugOperation | 'mirror.hook', OperationDescription>
> = {
  live,
  ready,
  openapi,
  metrics: {
    summary: 'Metrics for Prometheus.',
    successes: { 200: { description: 'Text format.', content: { type: 'text/plain' } } },
    failures: [],
  },
  'debug.health': {
    summary: 'What is wrong, by the name of the check.',
    successes: {
      200: { description: 'Nothing.', content: json('Health') },
      503: { description: 'One sentence for each check that failed.', content: json('Health') },
    },
    failures: [],
  },
  events: {
    summary: 'Events after a position, one JSON object a line.',
    parameters: [
      parameters.eventsAfter,
      parameters.eventsLimit,
      parameters.eventsWait,
      parameters.eventsKinds,
    ],
    successes: {
      200: {
        description: 'In their order.',
        headers: ['Varve-Events-After'],
        content: { type: 'application/x-ndjson' },
      },
    },
    failures: ['invalid request', 'out_of_range event', 'unavailable database'],
  },
  'token.get': {
    summary: 'A token for as much of the scopes as its account may have; with auth.mode token.',
    parameters: [parameters.service, parameters.scope, parameters.account, parameters.offlineToken],
    successes: { 200: { description: 'Perhaps good for nothing.', content: json('Token') } },
    failures: tokenFailures,
  },
  'token.post': {
    summary: 'The same for a password or a refresh token (OAuth 2); with auth.mode token.',
    body: 'application/x-www-form-urlencoded',
    successes: { 200: { description: 'Perhaps good for nothing.', content: json('Token') } },
    failures: [...tokenFailures, 'too_large credential'],
  },
  jwks: {
    summary: 'The keys that tokens are verified by; with auth.mode token.',
    successes: { 200: { description: 'The newest first.', content: json('Jwks') } },
    failures: ['unavailable database'],
  },
  'mirror.hook': {
    summary:
      'Wakes a mirror job, for whoever has a token of mirror.hookTokenFile (Authorization: Bearer); a body is not read.',
    successes: { 202: { description: 'It runs soon.', content: json('MirrorHook') } },
    failures: [
      'unauthorized mirror',
      'invalid mirror',
      'not_found mirror',
      'conflict mirror',
      'throttled mirror',
      'unavailable mirror',
    ],
  },
  base: {
    summary: 'Tells that this is a registry.',
    successes: { 200: { description: 'It is.', content: json('Base') } },
    failures: [],
  },
  catalog: {
    summary: 'Repositories in byte order.',
    parameters: [pageSize, pageAfter],
    successes: { 200: { description: 'A page.', headers: pageHeaders, content: json('Catalog') } },
    failures: ['invalid request', 'unavailable repository'],
  },
  extensions: {
    summary: 'Extensions of the registry.',
    successes: { 200: { description: 'All of them.', content: json('Extensions') } },
    failures: [],
  },
  'repository.extensions': {
    summary: 'Extensions of a repository.',
    successes: { 200: { description: 'All of them.', content: json('Extensions') } },
    failures: ['invalid repository', 'not_found repository', 'unavailable repository'],
  },
  'upload.start': {
    summary: 'Begins an upload, pushes a whole blob (digest) or mounts one (mount).',
    parameters: [parameters.digest, parameters.digestAlgorithm, parameters.mount, parameters.from],
    body: octets,
    successes: { 201: created, 202: session },
    failures: [...writeFailures, 'invalid digest', 'digest_mismatch upload'],
  },
  'upload.status': {
    summary: 'Where an upload stands.',
    parameters: [parameters.state],
    successes: { 204: session },
    failures: ['invalid repository', 'not_found upload', 'unavailable upload'],
  },
  'upload.append': {
    summary: 'Appends a chunk, or streams.',
    parameters: [parameters.state, parameters.contentRange],
    body: octets,
    successes: { 202: session },
    failures: writeFailures,
  },
  'upload.finish': {
    summary: 'Ends an upload, perhaps with its last chunk; the blob is there afterwards.',
    parameters: [parameters.state, parameters.digest, parameters.contentRange],
    body: octets,
    successes: { 201: created },
    failures: [...writeFailures, 'invalid digest', 'digest_mismatch upload'],
  },
  'upload.cancel': {
    summary: 'Drops an upload.',
    parameters: [parameters.state],
    successes: { 204: { description: 'Dropped.', headers: ['Docker-Upload-UUID'] } },
    failures: [...uploadFailures, 'busy upload'],
  },
  'blob.get': {
    summary: 'A blob, or ranges of it.',
    parameters: [parameters.range, parameters.ifRange, parameters.ifNoneMatch],
    successes: {
      200: { description: 'All of it.', headers: blobHeaders, content: { type: octets } },
      206: {
        description: 'The range; with several, multipart/byteranges.',
        headers: [...blobHeaders, 'Content-Range'],
        content: { type: octets },
      },
      304: notModified,
      307: {
        description:
          'Where the registry redirects to its store: the same request, sent there, gets the bytes.',
        headers: ['Location', 'Docker-Content-Digest'],
      },
    },
    failures: [...blobFailures, ...loopFailures, 'out_of_range blob'],
  },
  'blob.head': {
    summary: 'Whether a blob is there, and its size.',
    parameters: [parameters.ifNoneMatch],
    successes: { 200: { description: 'It is.', headers: blobHeaders }, 304: notModified },
    failures: [...blobFailures, ...loopFailures],
  },
  'blob.delete': {
    summary: 'Takes a blob out of a repository.',
    successes: { 202: { description: 'Done.' } },
    failures: [...blobFailures, 'conflict blob', 'unsupported request'],
  },
  'manifest.get': {
    summary: 'A manifest, byte for byte as it was pushed.',
    parameters: [parameters.ifNoneMatch],
    successes: {
      200: {
        description: 'With the media type of the push.',
        headers: manifestHeaders,
        content: { type: mediaTypes.ociManifest },
      },
      304: notModified,
    },
    failures: manifestFailures,
  },
  'manifest.head': {
    summary: 'Whether a manifest is there, its digest and size.',
    parameters: [parameters.ifNoneMatch],
    successes: { 200: { description: 'It is.', headers: manifestHeaders }, 304: notModified },
    failures: manifestFailures,
  },
  'manifest.put': {
    summary: 'Stores a manifest under a tag or a digest.',
    parameters: [parameters.contentType, parameters.tag, parameters.ifMatch, parameters.ifNoneMatch],
    body: mediaTypes.ociManifest,
    successes: {
      201: {
        description: 'Stored.',
        headers: ['Location', 'Docker-Content-Digest', 'OCI-Subject', 'OCI-Tag'],
      },
    },
    failures: [
      'invalid repository',
      'invalid tag',
      'invalid digest',
      'invalid manifest',
      'digest_mismatch manifest',
      'missing_reference manifest',
      'conflict manifest',
      'too_large manifest',
      'too_large tag',
      'unsupported request',
      'unavailable manifest',
    ],
  },
  'manifest.delete': {
    summary: 'Deletes a tag, or a manifest with all its tags.',
    successes: { 202: { description: 'Done.' } },
    failures: [
      'invalid repository',
      'invalid digest',
      'not_found manifest',
      'unsupported request',
      'unavailable manifest',
    ],
  },
  'tags.list': {
    summary: 'Tags in byte order.',
    parameters: [pageSize, pageAfter],
    successes: { 200: { description: 'A page.', headers: pageHeaders, content: json('Tags') } },
    failures: [
      'invalid repository',
      'invalid request',
      'not_found repository',
      'unavailable repository',
      ...loopFailures,
    ],
  },
  referrers: {
    summary: 'Manifests whose subject is this digest, newest first.',
    parameters: [parameters.artifactType, pageAfter],
    successes: {
      200: {
        description: 'A page below 4 MiB.',
        headers: ['Link', 'OCI-Filters-Applied'],
        content: { type: mediaTypes.ociIndex, schema: 'Referrers' },
      },
    },
    failures: [
      'invalid repository',
      'invalid digest',
      'invalid request',
      'unavailable repository',
      ...loopFailures,
    ],
  },
}

import type { JsonSchema } from './schemas.ts'

export interface Parameter {
  readonly in: 'path' | 'query' | 'header'
  readonly name: string
  readonly description: string
  readonly schema: JsonSchema
}

const text: JsonSchema = { type: 'string' }
const digestPattern = '^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$'

/** By the name that they have in the route templates. */
export const pathParameters: Readonly<Record<string, Parameter>> = {
  name: {
    in: 'path',
    name: 'name',
    description: 'Repository. It may hold slashes, which stand in the path as they are.',
    schema: {
      type: 'string',
      maxLength: 255,
      pattern: '^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*$',
    },
  },
  digest: {
    in: 'path',
    name: 'digest',
    description: 'sha256 or sha512.',
    schema: { type: 'string', pattern: digestPattern },
  },
  reference: { in: 'path', name: 'reference', description: 'Tag or digest.', schema: text },
  job: { in: 'path', name: 'job', description: 'Name of a mirror job.', schema: text },
  id: { in: 'path', name: 'id', description: 'Upload session, from a Location.', schema: text },
}

const query = (name: string, description: string, schema: JsonSchema = text): Parameter => ({
  in: 'query',
  name,
  description,
  schema,
})
const header = (name: string, description: string): Parameter => ({
  in: 'header',
  name,
  description,
  schema: text,
})

/** Parameters of queries and headers that operations share. */
export const parameters = {
  pageSize: query('n', 'Entries of a page; more than 1000 are cut to that.', { type: 'integer', minimum: 0 }),
  pageAfter: query('last', 'The page begins after this; take the Link of the page before.'),
  digest: query('digest', 'Digest of the whole blob.', { type: 'string', pattern: digestPattern }),
  digestAlgorithm: query('digest-algorithm', 'Of the digest that will close the upload.', {
    enum: ['sha256', 'sha512'],
  }),
  mount: query('mount', 'Digest of a blob that another repository holds.'),
  from: query('from', 'The repository that holds it; any unless given.'),
  state: query('_state', 'From the Location; signed.'),
  tag: query('tag', 'Tags for a manifest that is pushed by digest.', {
    type: 'array',
    items: text,
    maxItems: 100,
  }),
  artifactType: query('artifactType', 'Only referrers of one of these types.', {
    type: 'array',
    items: text,
  }),
  range: header('Range', 'RFC 9110, 14.2; up to 16 ranges.'),
  ifRange: header('If-Range', 'The range counts only for this ETag.'),
  ifNoneMatch: header('If-None-Match', 'ETags, which are quoted digests.'),
  ifMatch: header('If-Match', 'ETag that the reference must have now.'),
  contentRange: header(
    'Content-Range',
    '<first>-<last>, without unit and total; offset of the chunk in the blob.',
  ),
  eventsAfter: query(
    'after',
    'Position of the last event that is known, or latest for what happens from now on; from the oldest that is kept unless given.',
    {
      oneOf: [
        { type: 'integer', minimum: 0 },
        { type: 'string', const: 'latest' },
      ],
    },
  ),
  eventsLimit: query('limit', 'Events, at most; 1000 unless given.', { type: 'integer', minimum: 1 }),
  eventsWait: query('wait', 'Seconds to wait for an event, at most 60; 0 unless given.', {
    type: 'integer',
    minimum: 0,
  }),
  eventsKinds: query(
    'kinds',
    'Kinds of events, separated by commas: manifest, blob, tag, mirror, upstream; all unless given.',
    { type: 'string' },
  ),
  service: query('service', 'Name of the registry, from its challenge.'),
  scope: query(
    'scope',
    'What the token is wanted for: repository:NAME:pull,push, several separated by blanks.',
    {
      type: 'array',
      items: text,
    },
  ),
  account: query('account', 'Whom the password is for; refused when that is somebody else.'),
  offlineToken: query('offline_token', 'Whether a refresh token is wanted, too.', { type: 'boolean' }),
  contentType: header('Content-Type', "The manifest's media type."),
} as const satisfies Readonly<Record<string, Parameter>>

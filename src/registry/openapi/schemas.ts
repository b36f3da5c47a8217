import { mediaTypes } from '../../storage/media-types.ts'

/** JSON Schema 2020-12, which OpenAPI 3.1 uses as it is. */
export type JsonSchema = Readonly<Record<string, unknown>>

const text: JsonSchema = { type: 'string' }
const texts: JsonSchema = { type: 'array', items: text }
const bytes: JsonSchema = { type: 'integer', minimum: 0 }
const annotations: JsonSchema = { type: 'object', additionalProperties: text }

function object(
  properties: Readonly<Record<string, JsonSchema>>,
  optional: readonly string[] = [],
): JsonSchema {
  const required = Object.keys(properties).filter(name => !optional.includes(name))
  return { type: 'object', properties, required, additionalProperties: false }
}

const error = object(
  { code: { type: 'string', pattern: '^[A-Z_]+$' }, message: text, detail: { type: 'object' } },
  ['detail'],
)

const referrer = object({ mediaType: text, digest: text, size: bytes, artifactType: text, annotations }, [
  'artifactType',
  'annotations',
])

const extension = object({ name: text, description: text, url: text, endpoints: texts })

/** The JSON bodies that the registry makes itself. Manifests are the clients' own bytes. */
export const schemas = {
  Errors: object({ errors: { type: 'array', items: error, minItems: 1 } }),
  Base: object({}),
  MirrorHook: object({ job: text }),
  Live: object({ status: { const: 'live' } }),
  Ready: object({ status: { const: 'ready' } }),
  Health: { type: 'object', additionalProperties: text },
  Catalog: object({ repositories: texts }),
  Tags: object({ name: text, tags: texts }),
  Referrers: object({
    schemaVersion: { const: 2 },
    mediaType: { const: mediaTypes.ociIndex },
    manifests: { type: 'array', items: referrer },
  }),
  Extensions: object({ extensions: { type: 'array', items: extension } }),
  OpenApi: { type: 'object' },
  Token: object(
    {
      token: text,
      access_token: text,
      token_type: { const: 'Bearer' },
      scope: text,
      expires_in: { type: 'integer', minimum: 60 },
      issued_at: { type: 'string', format: 'date-time' },
      refresh_token: text,
    },
    ['refresh_token'],
  ),
  Jwks: object({
    keys: {
      type: 'array',
      items: object({
        kty: { const: 'EC' },
        crv: { const: 'P-256' },
        x: text,
        y: text,
        kid: text,
        alg: { const: 'ES256' },
        use: { const: 'sig' },
      }),
    },
  }),
} as const satisfies Readonly<Record<string, JsonSchema>>

export type SchemaName = keyof typeof schemas

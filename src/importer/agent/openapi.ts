import * as z from 'zod'
import type { ErrorCode } from '../../errors.ts'
import { version } from '../../version.ts'
import type { AgentRoute, DescribedAnswer } from './route.ts'
import { components, failed } from './schemas/common.ts'
import { statusOf } from './wire.ts'

type Json = Readonly<Record<string, unknown>>

/** An OpenAPI 3.1 document: plain data, to be printed as JSON. */
export interface AgentDocument {
  readonly openapi: '3.1.0'
  readonly info: Json
  readonly servers: readonly Json[]
  readonly security: readonly Json[]
  /** By path, then by method in lower case. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>
  readonly components: Json & { readonly schemas: Readonly<Record<string, Json>> }
}

/** What any route may answer. */
const everywhere: readonly ErrorCode[] = ['invalid', 'unauthorized', 'not_found', 'too_large', 'unavailable']

/** The description of a table of routes, out of the schemas that the server itself checks requests with. */
export function openApiDocument(routes: readonly AgentRoute[]): AgentDocument {
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of routes) {
    const path = pathOf(route.path)
    paths[path] ??= {}
    paths[path][route.method.toLowerCase()] = describe(route)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Varve agent',
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        'Images as chains of snapshots, and clones of them, for a zone provisioner. Over the unix socket nobody has to show a token; over TCP it goes into Authorization: Bearer.',
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }, {}],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: namedSchemas(),
    },
  }
}

/** `/v1/clones/:name` is `/v1/clones/{name}`. */
export function pathOf(template: string): string {
  return template.replace(/:(\w+)/g, '{$1}')
}

function describe(route: AgentRoute): Json {
  const { operation, summary, description, body, method, answers, failures = [] } = route
  const takesBody = Object.keys(body instanceof z.ZodObject ? body.shape : { any: true }).length > 0
  return {
    operationId: operation,
    summary,
    ...(description === undefined ? {} : { description }),
    parameters: [...pathParameters(route), ...queryParameters(route)],
    ...(method === 'GET' || !takesBody
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body) } } } }),
    responses: {
      ...failureAnswers([...everywhere, ...failures]),
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, describeAnswer(answer)]),
      ),
    },
  }
}

function pathParameters({ path, params = {} }: AgentRoute): Json[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    in: 'path',
    name,
    required: true,
    description: params[name] ?? '',
    schema: { type: 'string' },
  }))
}

function queryParameters({ query }: AgentRoute): Json[] {
  return Object.entries(query.shape).map(([name, schema]) => {
    const type = schema as z.ZodType
    const { description, ...rest } = withoutIdentity(z.toJSONSchema(type, { io: 'input' }))
    return {
      in: 'query',
      name,
      required: !type.safeParse(undefined).success,
      ...(description === undefined ? {} : { description }),
      schema: rest,
    }
  })
}

function describeAnswer({ description, schema, type, headers }: DescribedAnswer): Json {
  const content = schema === undefined && type === undefined ? undefined : (type ?? 'application/json')
  return {
    description,
    ...(headers === undefined
      ? {}
      : {
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, text]) => [
              name,
              { description: text, schema: { type: 'string' } },
            ]),
          ),
        }),
    ...(content === undefined
      ? {}
      : { content: { [content]: schema === undefined ? {} : { schema: schemaOf(schema) } } }),
  }
}

/** By status, with the codes that its body may have. What no route expects is a bug of ours. */
function failureAnswers(codes: readonly ErrorCode[]): Record<string, Json> {
  const byStatus = new Map<number, Set<string>>([[500, new Set(['internal'])]])
  for (const code of codes) {
    const status = statusOf[code]
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code))
  }
  // Of a registry that does not know us: httpStatusOf.
  byStatus.get(statusOf.denied)?.add('unauthorized')
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [
      String(status),
      {
        ...describeAnswer({ description: [...names].join(', '), schema: failed }),
        'x-error-codes': [...names],
      },
    ]),
  )
}

/** A reference to a schema that has a name, else the schema itself. */
function schemaOf(schema: z.ZodType): Json {
  const id = components.get(schema)?.id
  return id === undefined ? withoutIdentity(z.toJSONSchema(schema, { io: 'input' })) : { $ref: refOf(id) }
}

function refOf(id: string): string {
  return `#/components/schemas/${id}`
}

function namedSchemas(): Record<string, Json> {
  const { schemas } = z.toJSONSchema(components, { io: 'input', uri: refOf })
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, withoutIdentity(schema)]))
}

/** Where it stands says all of it. */
function withoutIdentity(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'))
}

import * as z from 'zod'
import { DomainError, type ErrorCode, type Resource } from '../../errors.ts'
import { failureOf } from '../errcode.ts'
import { type AdminOperation, adminOperations, operationNames } from './administration.ts'
import { type AdminEndpoint, hasBody, pathParametersOf } from './operation.ts'

type JsonSchema = Readonly<Record<string, unknown>>

/** How somebody says who they are, for `components.securitySchemes`. */
export const adminSecuritySchemes: Readonly<Record<string, JsonSchema>> = {
  password: { type: 'http', scheme: 'basic', description: 'A password, or an API token in its place.' },
  apiToken: { type: 'http', scheme: 'bearer', description: 'An API token, which begins with vrv_.' },
}

/** The operations of administration as OpenAPI describes them, by path and by method in lower case. */
export function adminPaths(): Record<string, Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const name of operationNames) {
    const endpoint: AdminEndpoint = adminOperations[name]
    const path = endpoint.path.replace(/[*:](\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: describe(name, endpoint) }
  }
  return paths
}

function describe(name: AdminOperation, endpoint: AdminEndpoint): JsonSchema {
  const { properties = {}, required = [] } = inputSchema(endpoint)
  const inPath = pathParametersOf(endpoint.path)
  const rest = Object.keys(properties).filter(field => !inPath.includes(field))
  const takesBody = hasBody(endpoint)
  return {
    operationId: name,
    summary: endpoint.summary,
    security: Object.keys(adminSecuritySchemes).map(scheme => ({ [scheme]: [] })),
    parameters: [
      ...inPath.map(field => parameter('path', field, properties[field], true)),
      ...(takesBody ? [] : rest).map(field =>
        parameter('query', field, properties[field], required.includes(field)),
      ),
    ],
    ...(takesBody
      ? {
          requestBody: {
            required: true,
            content: {
              'application/json': {
                schema: {
                  type: 'object',
                  properties: Object.fromEntries(rest.map(field => [field, properties[field]])),
                  required: rest.filter(field => required.includes(field)),
                  additionalProperties: false,
                },
              },
            },
          },
        }
      : {}),
    responses: { ...success(endpoint), ...failures(endpoint) },
  }
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
}

function inputSchema({ input }: AdminEndpoint): ObjectSchema {
  return z.toJSONSchema(input, { io: 'input' }) as ObjectSchema
}

function parameter(
  place: 'path' | 'query',
  name: string,
  given: JsonSchema = {},
  required: boolean,
): JsonSchema {
  const { description, ...schema } = given
  return { in: place, name, required, ...(description === undefined ? {} : { description }), schema }
}

function success({ status, output, summary, location }: AdminEndpoint): Record<string, JsonSchema> {
  if (status === 204) return { 204: { description: 'Done.' } }
  const { $schema: _, ...schema } = z.toJSONSchema(output, { io: 'output' })
  const header = location === undefined ? {} : { headers: { Location: { schema: { type: 'string' } } } }
  return { [status]: { description: summary, ...header, content: { 'application/json': { schema } } } }
}

function failures(endpoint: AdminEndpoint): Record<string, JsonSchema> {
  const { resource } = endpoint
  const all: (readonly [ErrorCode, Resource])[] = [
    ['invalid', resource],
    ['unauthorized', resource],
    ['denied', resource],
    ['not_found', 'tenant'],
    ['not_found', resource],
    ['not_found', 'request'],
    ['throttled', resource],
    ['unavailable', resource],
    ...(hasBody(endpoint) ? [['too_large', resource] as const] : []),
    ...(endpoint.failures ?? []).map(failure => failure.split(' ') as [ErrorCode, Resource]),
  ]
  const codes = new Map<number, Set<string>>([[500, new Set(['UNKNOWN'])]])
  for (const [code, about] of all) {
    const failure = failureOf(new DomainError(code, '', { resource: about }))
    codes.set(failure.status, (codes.get(failure.status) ?? new Set()).add(failure.code))
  }
  return Object.fromEntries(
    [...codes].map(([status, names]) => [
      String(status),
      {
        description: [...names].join(', '),
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Errors' } } },
        'x-error-codes': [...names],
      },
    ]),
  )
}

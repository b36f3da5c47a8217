import { DomainError, type ErrorCode, type Resource } from '../../errors.ts'
import { version } from '../../version.ts'
import { adminPaths, adminSecuritySchemes } from '../admin/openapi.ts'
import { needOf } from '../auth/required-access.ts'
import {
  debugEndpoints,
  type Endpoint,
  mirrorHookEndpoint,
  type Operation,
  registryEndpoints,
  tokenEndpoints,
} from '../endpoints.ts'
import { failureOf } from '../errcode.ts'
import { type Failure, type OperationDescription, operationDescriptions, type Success } from './operations.ts'
import { pathParameters } from './parameters.ts'
import { type JsonSchema, schemas } from './schemas.ts'

type Described = Endpoint<keyof typeof operationDescriptions>

/** An OpenAPI 3.1 document: plain data, to be printed as JSON. */
export interface OpenApiDocument {
  readonly openapi: '3.1.0'
  readonly info: JsonSchema
  readonly servers: readonly JsonSchema[]
  /** By path, then by method in lower case. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>
    readonly securitySchemes: Readonly<Record<string, JsonSchema>>
  }
}

const debugServers = [{ url: 'http://127.0.0.1:5001', description: 'registry.metricsAddress' }]

/** Everything that is answered over HTTP, on both ports; paths that only the second one has say so. */
export function openApiDocument(): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {}
  const ids = new Set<string>()
  const add = (endpoint: Described, more: readonly Failure[], servers?: readonly JsonSchema[]): void => {
    const path = pathOf(endpoint.path)
    paths[path] ??= servers === undefined ? {} : { servers }
    paths[path][endpoint.method.toLowerCase()] ??= {
      operationId: uniqueId(endpoint, ids),
      ...describe(endpoint, operationDescriptions[endpoint.operation], more),
    }
  }
  for (const endpoint of registryEndpoints) add(endpoint, accessFailures(endpoint.operation))
  for (const endpoint of tokenEndpoints) add(endpoint, [])
  add(mirrorHookEndpoint, [])
  for (const endpoint of debugEndpoints) add(endpoint, [], debugServers)
  return {
    openapi: '3.1.0',
    info: {
      title: 'Varve registry',
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        'The OCI distribution protocol with its extensions; a path parameter {name} may span several path segments.',
    },
    servers: [{ url: '/' }],
    paths: { ...paths, ...adminPaths() },
    components: { schemas, securitySchemes: adminSecuritySchemes },
  }
}

/** `/v2/*name/blobs/:digest` is `/v2/{name}/blobs/{digest}`. */
export function pathOf(template: string): string {
  return template.replace(/[*:](\w+)/g, '{$1}')
}

function uniqueId({ operation, method }: Described, taken: Set<string>): string {
  const base = method === 'HEAD' && !operation.endsWith('.head') ? `${operation}.head` : operation
  let id = base
  // Two spellings of one path, with and without a slash at the end.
  for (let count = 2; taken.has(id); count++) id = `${base}.${count}`
  taken.add(id)
  return id
}

function describe(
  { path, method }: Described,
  { summary, parameters = [], body, successes, failures }: OperationDescription,
  more: readonly Failure[],
): object {
  const inPath = [...path.matchAll(/[*:](\w+)/g)].flatMap(([, name = '']) => pathParameters[name] ?? [])
  const answers = Object.entries(successes).map(
    ([status, success]) => [status, answer(success, method)] as const,
  )
  return {
    summary,
    parameters: [...inPath.map(parameter => ({ ...parameter, required: true })), ...parameters],
    ...(body === undefined ? {} : { requestBody: { content: { [body]: {} } } }),
    responses: { ...Object.fromEntries(answers), ...failureAnswers([...failures, ...more], method) },
  }
}

/** Of operations that ask who is there, and what they may do. */
function accessFailures(operation: Operation): readonly Failure[] {
  return needOf(operation) === 'nothing'
    ? []
    : ['unauthorized registry', 'denied repository', 'throttled account']
}

const failureHeaders: Readonly<Record<number, readonly string[]>> = {
  401: ['WWW-Authenticate'],
  429: ['Retry-After'],
  503: ['Retry-After'],
}

function answer({ description, headers = [], content }: Success, method: string): object {
  return {
    description,
    ...(headers.length === 0
      ? {}
      : { headers: Object.fromEntries(headers.map(name => [name, { schema: { type: 'string' } }])) }),
    ...(content === undefined || method === 'HEAD'
      ? {}
      : {
          content: {
            [content.type]:
              content.schema === undefined
                ? {}
                : { schema: { $ref: `#/components/schemas/${content.schema}` } },
          },
        }),
  }
}

/** By status, with the codes that its body may have. What no operation expects is a bug of ours. */
function failureAnswers(failures: readonly Failure[], method: string): Record<string, object> {
  const codes = new Map<number, Set<string>>([[500, new Set(['UNKNOWN'])]])
  for (const failure of failures) {
    const [code, resource, loop] = failure.split(' ') as [ErrorCode, Resource, string?]
    const details = { resource, ...(loop === undefined ? {} : { isLoop: true as const }) }
    const { status, code: ociCode } = failureOf(new DomainError(code, '', details))
    codes.set(status, (codes.get(status) ?? new Set()).add(ociCode))
  }
  return Object.fromEntries(
    [...codes].map(([status, names]) => [
      String(status),
      {
        ...answer(
          {
            description: [...names].join(', '),
            headers: failureHeaders[status] ?? [],
            content: { type: 'application/json', schema: 'Errors' },
          },
          method,
        ),
        'x-error-codes': [...names],
      },
    ]),
  )
}

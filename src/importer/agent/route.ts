import type { Readable } from 'node:stream'
import type * as z from 'zod'
import type { ErrorCode } from '../../errors.ts'
import type { AgentMetrics } from '../../metrics/agent-metrics.ts'
import type { Logger } from '../../log.ts'
import type { Pools } from './pools.ts'

/** What the handlers work with. */
export interface Agent {
  readonly pools: Pools
  readonly metrics: AgentMetrics
  readonly log: Logger
  /** The OpenAPI description of all routes. */
  readonly document: unknown
}

/** One request, checked against its route's schemas. */
export interface AgentRequest<Query, Body> {
  /** Decoded parts of the path. */
  readonly params: Readonly<Record<string, string>>
  readonly query: Query
  readonly body: Body
  /** Aborts when the client has left. */
  readonly signal: AbortSignal
}

export interface AgentAnswer {
  readonly status: number
  /** Told as JSON, unless it is a stream or a text of its own type. */
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** What is not JSON. */
export class RawBody {
  readonly type: string
  readonly content: Readable | string

  constructor(type: string, content: Readable | string) {
    this.type = type
    this.content = content
  }
}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** An answer of a route as OpenAPI describes it. */
export interface DescribedAnswer {
  readonly description: string
  readonly schema?: z.ZodType
  /** JSON unless given. */
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
}

interface RouteParts<Query extends z.ZodObject, Body extends z.ZodType> {
  readonly method: Method
  /** Such as `/v1/clones/:name`. */
  readonly path: string
  /** Name of the operation, unique, such as `clone.make`. */
  readonly operation: string
  /** One sentence. */
  readonly summary: string
  /** Whatever else a caller must know. */
  readonly description?: string
  /** What each part of the path is. */
  readonly params?: Readonly<Record<string, string>>
  readonly query: Query
  readonly body: Body
  /** Bytes of the request's body, at most. */
  readonly maxBodyBytes?: number
  /** By status. */
  readonly answers: Readonly<Record<number, DescribedAnswer>>
  /** Besides what every route can fail with. */
  readonly failures?: readonly ErrorCode[]
  readonly handle: (
    request: AgentRequest<z.output<Query>, z.output<Body>>,
    agent: Agent,
  ) => AgentAnswer | Promise<AgentAnswer>
}

/** A route whose handler takes what its own schemas have made; checked by whoever calls it. */
export interface AgentRoute extends Omit<RouteParts<z.ZodObject, z.ZodType>, 'handle'> {
  run(
    raw: Omit<AgentRequest<unknown, unknown>, 'query' | 'body'> & {
      readonly query: unknown
      readonly body: () => Promise<unknown>
    },
    agent: Agent,
  ): Promise<AgentAnswer>
}

export function route<Query extends z.ZodObject, Body extends z.ZodType>(
  parts: RouteParts<Query, Body>,
): AgentRoute {
  const { handle, ...described } = parts
  return {
    ...described,
    run: async ({ query, body, ...rest }, agent) => {
      const checked = parts.query.parse(query)
      return await handle({ ...rest, query: checked, body: parts.body.parse(await body()) }, agent)
    },
  }
}

export function json(body: unknown, status = 200, headers?: Readonly<Record<string, string>>): AgentAnswer {
  return headers === undefined ? { status, body } : { status, body, headers }
}

import * as z from 'zod'
import type { Resource } from '../../errors.ts'
import type { Method } from '../endpoints.ts'
import { numberInQuery } from './fields.ts'

/** One operation of administration: what the HTTP interface, its client, and its description are made from. */
export interface AdminEndpoint<
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodType = z.ZodType,
> {
  readonly method: Extract<Method, 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'>
  /** Template of the path; its parameters are fields of the input of the same name. */
  readonly path: string
  /** One sentence. */
  readonly summary: string
  /** What it is about, for errors. */
  readonly resource: Resource
  /** All of it: the path's parameters; the rest is the body's, or the query's where there is no body. */
  readonly input: Input
  /** Undefined for those that answer nothing. */
  readonly output: Output
  readonly status: 200 | 201 | 204
  /** Bytes of a request's body; 160 KiB unless given. */
  readonly maxBody?: number
  /** Path of what was made. */
  location?(this: void, output: z.output<Output>): string
  /** Resources besides its own that it can fail to find, or clash with. */
  readonly failures?: readonly Failure[]
}

type Failure = `${'invalid' | 'not_found' | 'already_exists' | 'conflict'} ${Resource}`

export function adminEndpoint<Input extends z.ZodObject, Output extends z.ZodType>(
  endpoint: AdminEndpoint<Input, Output>,
): AdminEndpoint<Input, Output> {
  return endpoint
}

/** Answers nothing. */
export const nothing = z.void()

/** Fields of every listing that has pages. */
export const pageFields = {
  n: numberInQuery.exactOptional().describe('Entries of a page; more than 1000 are cut to that.'),
  last: z
    .string()
    .max(1024)
    .exactOptional()
    .describe('The page begins after this; `next` of the page before.'),
}

/** Names of the parameters of a path. */
export function pathParametersOf(path: string): string[] {
  return [...path.matchAll(/[*:](\w+)/g)].map(([, name = '']) => name)
}

export function hasBody({ method }: Pick<AdminEndpoint, 'method'>): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH'
}

import type { DefaultContext, Middleware, ParameterizedContext } from 'koa'
import type { ClientOrigin } from './client-origin.ts'
import type { RequestBody } from './request-body.ts'
import type { RequestFacts } from './request.ts'

/** What middleware knows of the request in hand (`ctx.state`). */
export interface RegistryState {
  requestId: string
  client: ClientOrigin
  facts: RequestFacts
  body: RequestBody
  /** Aborted when the client is gone before its answer is complete. */
  signal: AbortSignal
  /** See RegistryRequest. */
  reserve: (bytes: number) => Promise<void>
  /** Name of the operation in the route table, once a route has matched. */
  operation?: string
  /** The template that has matched. */
  route?: string
  /** As captured from the path, not validated. */
  repository?: string
  /** The tag or digest in the path, not validated. */
  reference?: string | undefined
  /** Code of the error that was answered. */
  errorCode?: string
  /** The account that was not let in, where it had proved who it is. */
  refused?: string | undefined
  /** Told once which operation it is. */
  routed?: (operation: string) => void
}

export type RegistryContext = ParameterizedContext<RegistryState, DefaultContext>

export type RegistryMiddleware = Middleware<RegistryState, DefaultContext>

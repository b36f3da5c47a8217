import type { DefaultContext, Middleware } from 'koa'
import type { RequestBody } from './request-body.ts'

/** What middleware knows of the request in hand (`ctx.state`). */
export interface RegistryState {
  requestId: string
  body: RequestBody
  /** Aborted when the client is gone before its answer is complete. */
  signal: AbortSignal
  /** Name of the operation in the route table, once a route has matched. */
  operation?: string
  /** As captured from the path, not validated. */
  repository?: string
  /** Code of the error that was answered. */
  errorCode?: string
}

export type RegistryMiddleware = Middleware<RegistryState, DefaultContext>

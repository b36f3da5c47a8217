import type { Reply } from './reply.ts'
import type { RegistryRequest } from './request.ts'

/** One operation of the API. Failures are thrown as DomainError; errcode.ts makes them HTTP. */
export type Handler = (request: RegistryRequest) => Reply | Promise<Reply>

/** Something that the requests of all operations pass on their way to the handler, and the replies on their way back. */
export interface HandlerLayer {
  around(operation: string, handler: Handler): Handler
}

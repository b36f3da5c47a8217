import type { Reply } from './reply.ts'
import type { RegistryRequest } from './request.ts'

/** One operation of the API. Failures are thrown as DomainError; errcode.ts makes them HTTP. */
export type Handler = (request: RegistryRequest) => Reply | Promise<Reply>

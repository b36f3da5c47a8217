import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { AccountName } from '../storage/accounts/names.ts'
import { type Digest, parseDigest } from '../storage/digest.ts'
import { parseRepositoryName, type RepositoryName } from '../storage/reference.ts'
import type { Caller } from './auth/access-controller.ts'

/** What a handler sees of a request: nothing of Koa, nothing of sockets. */
export interface RegistryRequest {
  /** The log has it, too. */
  readonly id: string
  readonly method: string
  /** What the route's template has captured, percent-decoded exactly once and not validated. */
  readonly params: Readonly<Record<string, string>>
  /** Unknown keys are legal and ignored: clients add `ns` and `origin` wherever they like. */
  readonly query: URLSearchParams
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders
  /** IP address of whoever sent it, as far as that can be believed; empty when the peer is gone. */
  readonly client: string
  /** By which the client has called, as far as that can be believed. */
  readonly scheme: 'http' | 'https'
  /** May be destroyed without harm to the answer: the rest of the body is then read and dropped. */
  readonly body: Readable
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal
  /** What becomes known of the caller on the way; for those who look at the request afterwards. */
  readonly facts: RequestFacts
  /** Waits until so many bytes more may be buffered; they count until the request ends. At most once for a request. */
  readonly reserve: (bytes: number) => Promise<void>
}

/** Filled in by `auth/authorize.ts`; the access log and the audit log read it when the request is over. */
export interface RequestFacts {
  /** Who sent it; undefined until that is known. */
  caller?: Caller
  /** Account that a client certificate stands for, when the connection has one that is good. */
  certificate?: AccountName | undefined
  /** Stands for the connection, as long as that is open. A proxy's brings requests of many clients. */
  readonly connection?: object | undefined
  /** For the audit log, what it is about, where the path alone does not say so: `tenant:acme`; a tag, a member. */
  target?: string | undefined
  reference?: string | undefined
}

/** @throws DomainError `invalid`. */
export function repositoryOf(request: RegistryRequest): RepositoryName {
  return parseRepositoryName(request.params['name'] ?? '')
}

/** Who sends it; null: nobody in particular. */
export function accountOf({ facts }: RegistryRequest): AccountName | null {
  return facts.caller?.account ?? null
}

/** The digest in the path. @throws DomainError `invalid`. */
export function digestParamOf(request: RegistryRequest): Digest {
  return parseDigest(request.params['digest'] ?? '')
}

/** Bytes that the client has announced; undefined for a body of unknown length (chunked encoding). */
export function announcedLength(headers: IncomingHttpHeaders): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined
  return Number(headers['content-length'] ?? 0)
}

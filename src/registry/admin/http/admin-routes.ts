import { DomainError } from '../../../errors.ts'
import type { AccessPolicy } from '../../auth/access-policy.ts'
import { callerOf } from '../../auth/caller.ts'
import { basicChallenge } from '../../auth/challenge.ts'
import type { Logins } from '../../auth/login.ts'
import type { Handler } from '../../handler.ts'
import { type Headers, json, type Reply } from '../../reply.ts'
import type { RegistryRequest } from '../../request.ts'
import { requesterOf } from '../../requester.ts'
import type { Route } from '../../routes.ts'
import type { AdminService } from '../admin-service.ts'
import { type AdminInput, type AdminOperation, adminOperations, operationNames } from '../administration.ts'
import { auditReferenceOf, auditTargetOf } from '../audit-target.ts'
import type { AdminEndpoint } from '../operation.ts'
import { authenticate } from './authenticate.ts'
import { readInput } from './read-input.ts'

export interface AdminApi {
  readonly service: AdminService
  readonly logins: Logins
  readonly policy: AccessPolicy
  /** Name of the registry in the challenge. */
  readonly realm: string
}

/** Answers may hold what is told only once, and none is good for later. */
const headers: Headers = { 'Cache-Control': 'no-store' }

/** The HTTP interface of administration. @param api undefined: nobody can say who they are, so there is none. */
export function adminRoutes(api: AdminApi | undefined): Route[] {
  return operationNames.map(operation => {
    const { method, path } = adminOperations[operation]
    return {
      method,
      path,
      operation,
      handler: api === undefined ? refuseWithoutAccounts : createHandler(operation, api),
    }
  })
}

function createHandler(operation: AdminOperation, api: AdminApi): Handler {
  const { service, logins, policy, realm } = api
  const endpoint: AdminEndpoint = adminOperations[operation]
  const challenge = basicChallenge(realm)
  return async request => {
    const { facts, client, params, signal } = request
    // Before anything is known, so that the audit log tells what was refused.
    facts.target = auditTargetOf(operation, params)
    facts.reference = auditReferenceOf(operation, params)
    const identity = await authenticate(request, logins, challenge)
    facts.caller = callerOf(identity, `${identity.account} is known`, policy)
    const requester = requesterOf(request)
    const administration = service.as({ kind: 'account', identity, address: client, requester }, rule => {
      facts.caller = callerOf(identity, rule, policy)
    })
    const input = await readInput(endpoint, request)
    facts.target = auditTargetOf(operation, input)
    facts.reference = auditReferenceOf(operation, input)
    // The service checks what has come over the network against the schema of its operation.
    const output = await administration.call(operation, input as AdminInput<typeof operation>, { signal })
    return replyOf(endpoint, output, request)
  }
}

function replyOf(endpoint: AdminEndpoint, output: unknown, request: RegistryRequest): Reply {
  const { status } = endpoint
  if (status === 204) return { status, headers }
  const location = status === 201 ? endpoint.location?.(output) : undefined
  const link = linkOf(endpoint, output, request)
  return json(status, output, {
    ...headers,
    ...(location === undefined ? {} : { Location: location }),
    ...(link === undefined ? {} : { Link: link }),
  })
}

/** RFC 8288, to the next page of a listing, with whatever it was asked for. */
function linkOf(
  { path }: AdminEndpoint,
  output: unknown,
  { params, query }: RegistryRequest,
): string | undefined {
  const next = typeof output === 'object' && output !== null && 'next' in output ? output.next : null
  if (typeof next !== 'string') return undefined
  const target = path.replace(/[*:](\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))
  return `<${target}?${new URLSearchParams({ ...Object.fromEntries(query), last: next }).toString()}>; rel="next"`
}

const refuseWithoutAccounts: Handler = () => {
  throw new DomainError(
    'not_found',
    'This registry asks nobody who they are (auth.mode is none), so it is not administered over HTTP; set auth.mode to token or basic, or use the commands on its own machine, such as varve tenant.',
    { resource: 'request' },
  )
}

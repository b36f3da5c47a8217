import type { Operation } from '../endpoints.ts'
import type { Handler } from '../handler.ts'
import type { RegistryRequest } from '../request.ts'
import type { AccessController, Credentials } from './access-controller.ts'
import { needOf, requiredAccess } from './required-access.ts'

/**
 * Lets a request through to its handler when whoever sends it may do what the operation needs. Nothing but the
 * repository's name is looked at before: no answer tells more than that to those who may not know.
 *
 * @throws DomainError what {@link AccessController.authorize} throws; `invalid` for what cannot be a repository's name.
 */
export function authorized(access: AccessController, operation: Operation, handler: Handler): Handler {
  if (needOf(operation) === 'nothing') return handler
  return async request => {
    const required = requiredAccess(operation, request)
    if (required === undefined) return handler(request)
    const { signal, facts } = request
    facts.caller = await access.authorize(credentialsOf(request), required.wanted, {
      wishes: required.wishes,
      signal,
    })
    return handler(request)
  }
}

/** What of a request shows who sends it. */
export function credentialsOf({ headers, facts, scheme, client }: RegistryRequest): Credentials {
  return {
    authorization: headers.authorization,
    certificate: facts.certificate,
    scheme,
    host: headers.host ?? '',
    address: client,
    connection: facts.connection,
  }
}

import type { Requester } from '../storage/requester.ts'
import type { RegistryRequest } from './request.ts'

/** Characters of what a client may fill with anything. */
const maxText = 256

/** Who sent the request, for the event of what it changes. */
export function requesterOf({ id, client, scheme, method, headers, facts }: RegistryRequest): Requester {
  const account = facts.caller?.account
  return {
    requestId: id,
    address: client,
    scheme,
    host: (headers.host ?? '').slice(0, maxText),
    method,
    userAgent: (headers['user-agent'] ?? '').slice(0, maxText),
    ...(account === null || account === undefined ? {} : { account }),
  }
}

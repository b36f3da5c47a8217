import type { Handler } from '../../handler.ts'
import type { RegistryRequest } from '../../request.ts'
import type { Route } from '../../routes.ts'
import type { AccessPolicy } from '../access-policy.ts'
import { callerOf } from '../caller.ts'
import { realmFor } from '../challenge.ts'
import type { BrowserLogin } from './browser-login.ts'
import { pageHeaders, tokenPage } from './login-page.ts'

export interface BrowserLoginRoutesOptions {
  readonly login: BrowserLogin
  readonly policy: AccessPolicy
  /** URL of the registry as browsers reach it; made from each request's own host unless given. */
  readonly origin?: URL | undefined
}

/** `/auth/login/PROVIDER` and `/auth/callback/PROVIDER`, for people's browsers. */
export function browserLoginRoutes({ login, policy, origin }: BrowserLoginRoutesOptions): Route[] {
  const start: Handler = async request => {
    const name = request.params['provider'] ?? ''
    const callback = new URL(`/auth/callback/${encodeURIComponent(name)}`, originOf(request, origin))
    const { location, cookie } = await login.start(name, callback, { signal: request.signal })
    return { status: 302, headers: { ...pageHeaders, Location: location.href, 'Set-Cookie': cookie } }
  }
  const finish: Handler = async request => {
    const name = request.params['provider'] ?? ''
    const { headers, query, signal } = request
    const { identity, token, tokenId, expiresAt, cookie } = await login.finish(name, query, headers.cookie, {
      signal,
    })
    // The audit log is told whose token that is, and which.
    const rule = `${name} vouches for ${identity.account}, who has got token ${tokenId}`
    request.facts.caller = callerOf(identity, rule, policy)
    const { host } = originOf(request, origin)
    return tokenPage({ account: identity.account, token, expiresAt, host }, { 'Set-Cookie': cookie })
  }
  return [
    { method: 'GET', path: '/auth/login/:provider', operation: 'login.start', handler: start },
    { method: 'GET', path: '/auth/callback/:provider', operation: 'login.finish', handler: finish },
  ]
}

/**
 * Where the browser is. Whoever calls by another name gets no further than to the provider, which only sends anybody
 * back to addresses that it was told of.
 */
function originOf({ scheme, headers }: RegistryRequest, configured: URL | undefined): URL {
  return configured ?? new URL(realmFor(scheme, headers.host ?? ''))
}

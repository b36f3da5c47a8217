import type { Challenge } from './challenge.ts'
import { jsonObjectIn } from './json-object.ts'
import { isLoopback } from './registry-address.ts'

/** What to ask a token service for (distribution, "Token Authentication Specification"). */
export interface TokenRequest {
  readonly realm: URL
  readonly service: string | undefined
  readonly scopes: readonly string[]
}

/** What a token service gives. */
export interface AccessToken {
  readonly token: string
  /** Milliseconds from when it was asked for. */
  readonly lifetimeMs: number
}

/** How the OAuth 2 form names us. */
const clientId = 'varve'
/** What a service means that says nothing, and the least that clients reckon with. Seconds. */
const minLifetimeSeconds = 60

/**
 * For what is wanted, and whatever else the registry says that takes: one in front of another knows the repository by
 * another name as well. More than what is wanted is not asked for. Undefined when the challenge names no address on the
 * web.
 */
export function tokenRequestOf(
  { parameters }: Challenge,
  wanted: readonly string[],
): TokenRequest | undefined {
  const address = parameters.get('realm')
  if (address === undefined || !URL.canParse(address)) return undefined
  const realm = new URL(address)
  if (!['http:', 'https:'].includes(realm.protocol)) return undefined
  realm.username = ''
  realm.password = ''
  const actions = new Set(wanted.flatMap(actionsOf))
  const challenged = (parameters.get('scope') ?? '')
    .split(' ')
    .filter(scope => repositoryScope.test(scope) && actionsOf(scope).every(action => actions.has(action)))
  const scopes = [...new Set([...wanted, ...challenged])].slice(0, maxScopes)
  return { realm, service: parameters.get('service'), scopes }
}

function actionsOf(scope: string): string[] {
  return (scope.split(':').at(-1) ?? '').split(',')
}

const repositoryScope = /^repository:[^\s:]+(?::\d+\/[^\s:]+)?:[a-z,]+$/
const maxScopes = 8

/**
 * Whether a registry may send us to that token service: encrypted, or as unencrypted as the registry itself and on the
 * same host. So neither a password nor a token crosses a network in the clear that the registry's own address does not.
 */
export function mayAsk(realm: URL, registry: URL): boolean {
  if (realm.protocol === 'https:') return true
  if (registry.protocol === 'https:') return false
  return realm.hostname === registry.hostname || (isLoopback(realm.host) && isLoopback(registry.host))
}

/** For GET, with Basic credentials or none. */
export function tokenUrlOf({ realm, service, scopes }: TokenRequest): URL {
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.delete('scope')
  for (const scope of scopes) url.searchParams.append('scope', scope)
  return url
}

/** For POST, with an identity token (distribution, "OAuth2 Token Authentication"). */
export function refreshFormOf({ service, scopes }: TokenRequest, identityToken: string): URLSearchParams {
  return new URLSearchParams({
    grant_type: 'refresh_token',
    ...(service === undefined ? {} : { service }),
    client_id: clientId,
    scope: scopes.join(' '),
    refresh_token: identityToken,
  })
}

/** What may stand in a header: no blanks, no line ends. */
const tokenPattern = /^[\x21-\x7e]+$/

/** The token in a token service's answer; undefined when there is none that could be sent. */
export function tokenIn(bytes: Uint8Array): AccessToken | undefined {
  const json = jsonObjectIn(bytes)
  const { expires_in: seconds } = json
  const lifetimeSeconds = Math.max(typeof seconds === 'number' ? seconds : 0, minLifetimeSeconds)
  for (const name of ['token', 'access_token']) {
    const token = json[name]
    if (typeof token === 'string' && tokenPattern.test(token))
      return { token, lifetimeMs: lifetimeSeconds * 1000 }
  }
  return undefined
}

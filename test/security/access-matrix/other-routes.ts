/** Endpoints beside those of the protocol and of administration. */

export interface PlainRoute {
  readonly method: string
  /** As in the table of endpoints. */
  readonly path: string
}

export interface TokenRoute extends PlainRoute {
  readonly gives: 'a token' | 'a token for a form' | 'keys'
}

/** The token service. */
export const tokenRoutes: readonly TokenRoute[] = [
  { method: 'GET', path: '/token', gives: 'a token' },
  { method: 'POST', path: '/token', gives: 'a token for a form' },
  { method: 'GET', path: '/auth/token', gives: 'a token' },
  { method: 'POST', path: '/auth/token', gives: 'a token for a form' },
  { method: 'GET', path: '/auth/token/', gives: 'a token' },
  { method: 'POST', path: '/auth/token/', gives: 'a token for a form' },
  { method: 'GET', path: '/.well-known/jwks.json', gives: 'keys' },
  { method: 'HEAD', path: '/.well-known/jwks.json', gives: 'keys' },
]

export interface BrowserRoute extends PlainRoute {
  /** What a browser is answered that has not begun a login before. */
  readonly status: number
  readonly code?: string
}

/** Logins of people with a browser. */
export const browserRoutes: readonly BrowserRoute[] = [
  { method: 'GET', path: '/auth/login/:provider', status: 302 },
  { method: 'GET', path: '/auth/callback/:provider', status: 403, code: 'DENIED' },
]

export interface DebugRoute extends PlainRoute {
  /** Whether the registry's own address has it, too. */
  readonly isPublic: boolean
}

/** The second server, on an address that only operators reach. */
export const debugRoutes: readonly DebugRoute[] = [
  ...both('/livez', true),
  ...both('/readyz', true),
  ...both('/openapi.json', true),
  ...both('/metrics', false),
  ...both('/debug/health', false),
  { method: 'GET', path: '/events', isPublic: false },
]

function both(path: string, isPublic: boolean): DebugRoute[] {
  return ['GET', 'HEAD'].map(method => ({ method, path, isPublic }))
}

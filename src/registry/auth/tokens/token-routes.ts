import { type TokenOperation, tokenEndpoints } from '../../endpoints.ts'
import type { Handler } from '../../handler.ts'
import { createJwksHandler } from '../../handlers/jwks.ts'
import { createTokenHandlers, type TokenHandlerOptions } from '../../handlers/token.ts'
import type { Route } from '../../routes.ts'
import type { SigningKeys } from './signing-keys.ts'

export interface TokenRouteOptions extends TokenHandlerOptions {
  readonly keys: Pick<SigningKeys, 'publicKeys'>
}

/** The token service over HTTP. */
export function tokenRoutes({ keys, ...options }: TokenRouteOptions): readonly Route[] {
  const token = createTokenHandlers(options)
  const handlers: Readonly<Record<TokenOperation, Handler>> = {
    'token.get': token.get,
    'token.post': token.post,
    jwks: createJwksHandler(keys),
  }
  return tokenEndpoints.map(endpoint => ({ ...endpoint, handler: handlers[endpoint.operation] }))
}

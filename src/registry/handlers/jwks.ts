import type { SigningKeys } from '../auth/tokens/signing-keys.ts'
import type { Handler } from '../handler.ts'
import { json } from '../reply.ts'

/** GET /.well-known/jwks.json: the keys that access tokens can be verified by (RFC 7517, 5), the newest first. */
export function createJwksHandler(keys: Pick<SigningKeys, 'publicKeys'>): Handler {
  return async ({ signal }) =>
    json(200, { keys: await keys.publicKeys({ signal }) }, { 'Cache-Control': 'public, max-age=60' })
}

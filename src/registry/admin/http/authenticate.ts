import { parseAuthorization } from '../../auth/authorization-header.ts'
import { credentialsOf } from '../../auth/authorize.ts'
import type { Identity } from '../../auth/identity.ts'
import { identityOf, type Logins, unauthorized } from '../../auth/login.ts'
import type { RegistryRequest } from '../../request.ts'

/**
 * Who asks for administration: by password, by an API token in its place or alone, or by a client certificate. Never nobody. Access tokens of the token service are not taken: they say what may be done with repositories.
 * @throws DomainError `unauthorized` with the challenge, `throttled`, `unavailable`.
 */
export async function authenticate(
  request: RegistryRequest,
  logins: Logins,
  challenge: string,
): Promise<Identity> {
  const { signal } = request
  const credentials = credentialsOf(request)
  const authorization = parseAuthorization(credentials.authorization)
  if (authorization.kind === 'bearer') {
    const identity = await logins.bearers?.(authorization.token, { signal })
    if (identity !== undefined) return identity
    throw unauthorized('This is no API token that is good now; they begin with vrv_.', challenge, {
      rule: 'what was shown proves no account',
    })
  }
  const identity = await identityOf(authorization, credentials, logins, challenge, { signal })
  if (identity !== null) return identity
  throw unauthorized('Administration wants to know who you are; log in.', challenge)
}

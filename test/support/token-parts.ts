import type { AccessPolicy } from '../../src/registry/auth/access-policy.ts'
import type { UseLog } from '../../src/registry/auth/identities/use-notes.ts'
import type { Logins } from '../../src/registry/auth/login.ts'
import { RefreshTokens } from '../../src/registry/auth/tokens/refresh-tokens.ts'
import { SigningKeys } from '../../src/registry/auth/tokens/signing-keys.ts'
import { TokenAccess } from '../../src/registry/auth/tokens/token-access.ts'
import { TokenIssuer } from '../../src/registry/auth/tokens/token-issuer.ts'
import { tokenRoutes } from '../../src/registry/auth/tokens/token-routes.ts'
import { TokenService } from '../../src/registry/auth/tokens/token-service.ts'
import { TokenVerifier } from '../../src/registry/auth/tokens/token-verifier.ts'
import type { RegistrySecurity } from '../../src/registry/security.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'

export interface TokenPartsOptions {
  readonly metadata: Metadata
  readonly policy: AccessPolicy
  readonly logins: Logins
  /** `varve` unless given. */
  readonly service?: string | undefined
  readonly realm?: string | undefined
  readonly anonymous?: boolean | undefined
  readonly lifetimeSeconds?: number | undefined
  readonly rotateAfterMs?: number | undefined
  readonly uses?: UseLog | undefined
  readonly now?: (() => number) | undefined
}

/** Everything of `auth.mode: token`, as one process has it. */
export interface TokenParts {
  readonly keys: SigningKeys
  readonly issuer: TokenIssuer
  readonly verifier: TokenVerifier
  readonly tokens: TokenService
  readonly access: TokenAccess
  readonly security: RegistrySecurity
}

const dayMs = 24 * 60 * 60 * 1000

export function tokenParts(options: TokenPartsOptions): TokenParts {
  const { metadata, policy, logins, service = 'varve', realm, anonymous = true } = options
  const { lifetimeSeconds = 300, rotateAfterMs = 30 * dayMs, uses = { note: () => {} }, now } = options
  const keys = new SigningKeys(metadata, { rotateAfterMs, tokenLifetimeMs: lifetimeSeconds * 1000 }, now)
  const issuer = new TokenIssuer(keys, { service, lifetimeSeconds }, now)
  const verifier = new TokenVerifier(keys, { issuer: service, audience: service, isOwn: true }, now)
  const refreshTokens = new RefreshTokens({
    credentials: metadata,
    identities: logins.identities,
    uses,
    now,
  })
  const tokens = new TokenService({ policy, issuer, refreshTokens })
  const access = new TokenAccess({ verifier, service, realm, accounts: { logins, policy } })
  const routes = tokenRoutes({ tokens, logins, keys, service, anonymous })
  return { keys, issuer, verifier, tokens, access, security: { access, routes } }
}

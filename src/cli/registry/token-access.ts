import { DomainError } from '../../errors.ts'
import type { AccessController } from '../../registry/auth/access-controller.ts'
import type { AccessPolicy } from '../../registry/auth/access-policy.ts'
import type { UseLog } from '../../registry/auth/identities/use-notes.ts'
import type { Logins } from '../../registry/auth/login.ts'
import { JwksFile } from '../../registry/auth/tokens/jwks-file.ts'
import { JwksUrl } from '../../registry/auth/tokens/jwks-url.ts'
import { RefreshTokens } from '../../registry/auth/tokens/refresh-tokens.ts'
import { SigningKeys } from '../../registry/auth/tokens/signing-keys.ts'
import { TokenAccess } from '../../registry/auth/tokens/token-access.ts'
import { TokenIssuer } from '../../registry/auth/tokens/token-issuer.ts'
import { tokenRoutes } from '../../registry/auth/tokens/token-routes.ts'
import { TokenService } from '../../registry/auth/tokens/token-service.ts'
import { TokenVerifier } from '../../registry/auth/tokens/token-verifier.ts'
import type { VerificationKeys } from '../../registry/auth/tokens/verification-keys.ts'
import type { Route } from '../../registry/routes.ts'
import { dayMs } from '../../storage/durations.ts'
import type { SigningKeyRecords } from '../../storage/metadata/account-records.ts'
import { meantBesides } from './pull-through.ts'
import type { SecurityContext } from './security.ts'

export interface TokenEntrance {
  readonly access: AccessController
  /** Of the token service; none when it is another one. */
  readonly routes: readonly Route[]
}

/** What else it is made of. */
export interface TokenAccessParts {
  readonly policy: AccessPolicy
  readonly logins: Logins
  readonly uses: UseLog
}

/** `auth.mode: token`: with our own token service, or with another one whose tokens are taken instead. */
export async function openTokenAccess(
  context: SecurityContext,
  { policy, logins, uses }: TokenAccessParts,
  stack: AsyncDisposableStack,
): Promise<TokenEntrance> {
  const { auth } = context.config
  if (auth.external.issuer !== undefined) return await openExternal(context, auth.external.issuer, stack)
  const { service, accessTokenSeconds, anonymous } = auth
  const keys = createSigningKeys(context.metadata, auth)
  const tokens = new TokenService({
    policy,
    issuer: new TokenIssuer(keys, { service, lifetimeSeconds: accessTokenSeconds }),
    refreshTokens: new RefreshTokens({
      credentials: context.metadata,
      identities: logins.identities,
      uses,
    }),
    alsoMeant: meantBesides(context.config),
  })
  const verifier = new TokenVerifier(keys, { issuer: service, audience: service, isOwn: true })
  return {
    access: new TokenAccess({ verifier, service, realm: auth.realm, accounts: { logins, policy } }),
    routes: tokenRoutes({ tokens, logins, keys, service, anonymous }),
  }
}

export function createSigningKeys(
  records: SigningKeyRecords,
  { keyRotationDays, accessTokenSeconds }: SecurityContext['config']['auth'],
): SigningKeys {
  return new SigningKeys(records, {
    rotateAfterMs: keyRotationDays * dayMs,
    tokenLifetimeMs: accessTokenSeconds * 1000,
  })
}

async function openExternal(
  { config: { auth }, log }: SecurityContext,
  issuer: string,
  stack: AsyncDisposableStack,
): Promise<TokenEntrance> {
  const { service, realm, external } = auth
  const keys = await openKeys(external, log, stack)
  const verifier = new TokenVerifier(keys, { issuer, audience: service, isOwn: false })
  return { access: new TokenAccess({ verifier, service, realm }), routes: [] }
}

async function openKeys(
  { jwksFile, jwksUrl }: SecurityContext['config']['auth']['external'],
  log: SecurityContext['log'],
  stack: AsyncDisposableStack,
): Promise<VerificationKeys> {
  if (jwksFile !== undefined) return await JwksFile.open(jwksFile, log)
  if (jwksUrl !== undefined) return stack.use(new JwksUrl({ url: new URL(jwksUrl), log }))
  throw new DomainError(
    'invalid',
    'auth.external.issuer needs its public keys; set auth.external.jwksFile or auth.external.jwksUrl.',
    { resource: 'config', name: 'auth.external' },
  )
}

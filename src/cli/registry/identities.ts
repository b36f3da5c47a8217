import { randomBytes } from 'node:crypto'
import { readSetting } from '../../config/secrets.ts'
import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import type { AccessPolicy } from '../../registry/auth/access-policy.ts'
import { type OpenedIdentities, openIdentities } from '../../registry/auth/identities/open-identities.ts'
import type { OpenIdProviderOptions } from '../../registry/auth/identities/provider-options.ts'
import type { Route } from '../../registry/routes.ts'
import { parseTenantName } from '../../storage/accounts/names.ts'
import type { Metadata } from '../../storage/metadata/metadata.ts'
import { parsedSetting } from './parsed-setting.ts'

/** Who is known, as the configuration says. @throws DomainError `invalid`. */
export async function openConfiguredIdentities(
  { auth }: Config,
  metadata: Metadata,
  log: Logger,
  passwordCost?: number,
): Promise<OpenedIdentities> {
  return await openIdentities({
    records: metadata,
    log,
    htpasswdFile: auth.htpasswdFile,
    providers: auth.providers.map(providerOptions),
    admins: auth.admins,
    maxFailures: auth.maxFailures,
    maxDelayMs: auth.maxDelaySeconds * 1000,
    passwordCost,
  })
}

/** For people with a browser; none when no provider has a client for them. */
export async function configuredBrowserLogin(
  { auth }: Config,
  { providers }: OpenedIdentities,
  policy: AccessPolicy,
  metadata: Metadata,
  log: Logger,
): Promise<readonly Route[]> {
  const withClient = providers.filter(({ options }) => options.client !== undefined)
  if (withClient.length === 0) return []
  // Its packages take long to load, and most registries have no such provider.
  const { BrowserLogin } = await import('../../registry/auth/identities/browser-login.ts')
  const { browserLoginRoutes } = await import('../../registry/auth/identities/browser-login-routes.ts')
  const proposed = randomBytes(32).toString('base64')
  const secret = Buffer.from(await metadata.agreeOn('login-secret', proposed), 'base64')
  const login = new BrowserLogin({ providers: withClient, credentials: metadata, log, secret })
  // With another token service the realm is its address, not ours.
  const isOurs = auth.realm !== undefined && auth.external.issuer === undefined
  return browserLoginRoutes({
    login,
    policy,
    origin: isOurs && auth.realm !== undefined ? new URL(auth.realm) : undefined,
  })
}

function providerOptions(
  provider: Config['auth']['providers'][number],
  index: number,
): OpenIdProviderOptions {
  const { name, issuer, audiences, accountClaim, require, roles, caFile, clientId, scopes } = provider
  const key = `auth.providers.${index}`
  const secretFile = provider.clientSecretFile
  return {
    name,
    issuer,
    audiences,
    accountClaim,
    require,
    roles: roles.map(({ tenant, role, when }, place) => ({
      tenant: parsedSetting(`${key}.roles.${place}.tenant`, () => parseTenantName(tenant)),
      role,
      when,
    })),
    ca: caFile === undefined ? undefined : readSetting(`${key}.caFile`, caFile),
    client:
      clientId === undefined
        ? undefined
        : {
            clientId,
            clientSecret:
              secretFile === undefined ? undefined : readSetting(`${key}.clientSecretFile`, secretFile),
            scopes,
          },
  }
}

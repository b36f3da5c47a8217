import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics/metrics.ts'
import { adminRoutes } from '../../registry/admin/http/admin-routes.ts'
import type { AdminParts } from '../../registry/admin/service/parts.ts'
import type { AccessController } from '../../registry/auth/access-controller.ts'
import type { AccessPolicy } from '../../registry/auth/access-policy.ts'
import { BasicAccess } from '../../registry/auth/basic-access.ts'
import type { OpenedIdentities } from '../../registry/auth/identities/open-identities.ts'
import type { UseLog } from '../../registry/auth/identities/use-notes.ts'
import type { IdentityProvider } from '../../registry/auth/identity.ts'
import type { Logins } from '../../registry/auth/login.ts'
import { OpenAccess } from '../../registry/auth/open-access.ts'
import type { TickReport } from '../../registry/collect/collector.ts'
import { openMirrorHook } from '../../registry/mirror/hook-handler.ts'
import { wishesIn } from '../../registry/mirror/wishes.ts'
import type { RetentionTick } from '../../registry/retention/retention-ticker.ts'
import type { Route } from '../../registry/routes.ts'
import type { ScrubReport, ScrubRequest } from '../../registry/scrub/scrubber.ts'
import type { RegistrySecurity } from '../../registry/security.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { BlobStore } from '../../storage/blobs/blob-store.ts'
import type { Metadata } from '../../storage/metadata/metadata.ts'
import { policyOf } from './access-policy.ts'
import { openAudit } from './audit.ts'
import { configuredLimits } from './limits.ts'
import { openMirrorJobs } from './mirror-jobs.ts'
import type { TokenAccessParts } from './token-access.ts'
import { createTrustGate, type TrustSources } from './trust.ts'

/** What a process that serves requests works with. */
export interface SecurityContext {
  readonly config: Config
  readonly metadata: Metadata
  readonly blobs: BlobStore
  readonly metrics: Metrics
  readonly log: Logger
  /** Of new hashes of bcrypt; the usual one unless given. */
  readonly passwordCost?: number | undefined
  /** Where signatures are looked for; in our own stores unless given. */
  readonly signatures?: TrustSources | undefined
  /** Told when somebody wishes that a mirror job runs. */
  readonly onMirrorWish?: (() => void) | undefined
  /** Collects garbage, for an admin who does not want to wait. */
  readonly collectNow?: ((options: Abortable) => Promise<TickReport>) | undefined
  readonly backup?: AdminParts['backup'] | undefined
  /** Applies the retention policies, for an admin who does not want to wait. */
  readonly retainNow?: ((options: Abortable) => Promise<RetentionTick>) | undefined
  /** Checks what is stored, for an admin who does not want to wait. */
  readonly scrubNow?: ((asked: ScrubRequest, options: Abortable) => Promise<ScrubReport>) | undefined
}

/** In one process that serves requests: each has its own. Disposing it writes what still waits to be written. */
export interface Security extends AsyncDisposable {
  readonly registry: RegistrySecurity
  readonly policy: AccessPolicy
  readonly logins: Logins
}

/** Who may do what, as the configuration wants it. @throws DomainError `invalid`, `unavailable`. */
export async function openSecurity(context: SecurityContext): Promise<Security> {
  await using stack = new AsyncDisposableStack()
  const audit = await openAudit(context, stack)
  const policy = policyOf(context.config, context.metadata)
  const { logins, opened } = await openLogins(context, stack)
  const { access, routes } = await openAccess(
    context,
    { policy, logins, uses: opened?.uses ?? noUses },
    stack,
  )
  const known =
    opened === undefined ? adminRoutes(undefined) : await accountRoutes(context, policy, logins, opened)
  const registry: RegistrySecurity = {
    access,
    audit,
    limits: configuredLimits(context.config, context.metrics),
    trust: createTrustGate(context),
    routes: [...routes, ...known, ...(await mirrorHooks(context))],
  }
  const owned = stack.move()
  return {
    registry,
    policy,
    logins,
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}

/** What wakes mirror jobs: also where nobody else is asked who they are. */
async function mirrorHooks({
  config,
  metadata,
  log,
  onMirrorWish,
}: SecurityContext): Promise<readonly Route[]> {
  const tokenFile = config.mirror.hookTokenFile
  if (tokenFile === undefined) return []
  const jobs = openMirrorJobs(config, metadata, log)
  const wish = wishesIn(metadata, onMirrorWish)
  return [await openMirrorHook({ jobs, wish, tokenFile })]
}

/** What accounts need beside the protocol. Loaded where there are any: the memory is left to who needs none of it. */
async function accountRoutes(
  {
    config,
    metadata,
    log,
    passwordCost,
    onMirrorWish,
    collectNow,
    retainNow,
    backup,
    scrubNow,
  }: SecurityContext,
  policy: AccessPolicy,
  logins: Logins,
  opened: OpenedIdentities,
): Promise<readonly Route[]> {
  const { configuredBrowserLogin } = await import('./identities.ts')
  const { createAdminService } = await import('./administration.ts')
  const { identities, hasher } = opened
  const service = createAdminService(config, metadata, {
    identities,
    hasher,
    policy,
    passwordCost,
    onMirrorWish,
    collectNow,
    retainNow,
    backup,
    scrubNow,
  })
  return [
    ...(await configuredBrowserLogin(config, opened, policy, metadata, log)),
    ...adminRoutes({ service, logins, policy, realm: config.auth.service }),
  ]
}

interface Known {
  readonly logins: Logins
  /** Undefined where nobody is asked who they are. */
  readonly opened: OpenedIdentities | undefined
}

/** Everything that can tell who somebody is. */
async function openLogins(
  { config, metadata, log, passwordCost }: SecurityContext,
  stack: AsyncDisposableStack,
): Promise<Known> {
  if (config.auth.mode === 'none') {
    const identities: IdentityProvider = {
      verify: () => Promise.resolve(undefined),
      renew: () => Promise.resolve(undefined),
    }
    return { logins: { identities }, opened: undefined }
  }
  const { openConfiguredIdentities } = await import('./identities.ts')
  const opened = stack.use(await openConfiguredIdentities(config, metadata, log, passwordCost))
  const { identities } = opened
  const certificates: Logins['certificates'] = (account, options) =>
    identities.identityOfCertificate(account, options)
  const bearers: Logins['bearers'] = (text, options) => identities.verifyBearer(text, options)
  return { logins: { identities, certificates, bearers }, opened }
}

const noUses: UseLog = { note: () => {} }

interface Entrance {
  readonly access: AccessController
  /** Beside the registry's own. */
  readonly routes: readonly Route[]
}

async function openAccess(
  context: SecurityContext,
  { policy, logins, uses }: TokenAccessParts,
  stack: AsyncDisposableStack,
): Promise<Entrance> {
  switch (context.config.auth.mode) {
    case 'none':
      return { access: new OpenAccess(), routes: [] }
    case 'basic':
      return {
        access: new BasicAccess({
          ...logins,
          policy,
          service: context.config.auth.service,
          changeMark: context.metadata.changeMark,
        }),
        routes: [],
      }
    case 'token': {
      const { openTokenAccess } = await import('./token-access.ts')
      return await openTokenAccess(context, { policy, logins, uses }, stack)
    }
  }
}

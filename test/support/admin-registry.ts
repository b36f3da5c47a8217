import { AdminService } from '../../src/registry/admin/admin-service.ts'
import { HttpAdministration } from '../../src/registry/admin/client/http-administration.ts'
import { adminRoutes } from '../../src/registry/admin/http/admin-routes.ts'
import { AuditTrail } from '../../src/registry/audit/audit-trail.ts'
import { AccessPolicy } from '../../src/registry/auth/access-policy.ts'
import { BasicAccess } from '../../src/registry/auth/basic-access.ts'
import { openIdentities } from '../../src/registry/auth/identities/open-identities.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { adminPartsOver, testPasswordCost } from './administration.ts'
import { basic, passwordOf } from './known-identities.ts'
import { startRegistry } from './registry.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { testLog } from './test-logs.ts'

/** A registry that is administered over HTTP, with accounts in a real database. */
export interface AdminRegistry extends AsyncDisposable {
  readonly url: string
  readonly metadata: Metadata
  readonly service: AdminService
  /** With a password, which is {@link passwordOf} unless given. */
  as(name: string, password?: string): HttpAdministration
  /** With an API token alone. */
  withToken(token: string): HttpAdministration
}

/** It has the admin `root`, and no other account. */
export async function startAdminRegistry(): Promise<AdminRegistry> {
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await temporaryDirectory())
  const log = testLog()
  // Of its own, so that the identities are there before the registry is; the file is that of the registry.
  const metadata = stack.use(await openSqliteMetadata(`${directory.path}/metadata.sqlite`))
  const opened = stack.use(await openIdentities({ records: metadata, log, passwordCost: testPasswordCost }))
  const { identities } = opened
  const service = new AdminService(adminPartsOver(metadata, identities))
  const policy = new AccessPolicy({ tenants: metadata, anonymous: true, admins: [] })
  const audit = stack.use(
    new AuditTrail({ records: metadata, log, pulls: false, everyMs: 1, onDropped: () => {} }),
  )
  const logins = {
    identities,
    bearers: (token: string) => identities.verifyBearer(token),
  }
  const registry = stack.use(
    await startRegistry({
      directory: directory.path,
      security: () => ({
        access: new BasicAccess({ ...logins, policy, service: 'varve' }),
        audit,
        routes: adminRoutes({ service, logins, policy, realm: 'varve' }),
      }),
    }),
  )
  await service
    .as({ kind: 'system', name: 'system:test' })
    .call('user.create', { name: 'root', isAdmin: true, password: passwordOf('root') })
  const owned = stack.move()
  const client = (authorization: string) =>
    new HttpAdministration({ url: new URL(registry.url), authorization, userAgent: 'test' })
  return {
    url: registry.url,
    metadata,
    service,
    as: (name, password) => client(basic(name, password)),
    withToken: token => client(`Bearer ${token}`),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  }
}

import type { Logger } from '../../src/log.ts'
import { AccessPolicy } from '../../src/registry/auth/access-policy.ts'
import { BasicAccess } from '../../src/registry/auth/basic-access.ts'
import type { RegistrySecurity } from '../../src/registry/security.ts'
import { parseAccountName, parseTenantName } from '../../src/storage/accounts/names.ts'
import { basic, identityOf, KnownIdentities } from './known-identities.ts'
import { type Answer, type Call, RegistryClient } from './registry-client.ts'
import { startRegistry, type TestRegistry, type TestRegistryOptions } from './registry.ts'

/** A client that shows who it is with every request. */
export class KnownClient extends RegistryClient {
  readonly #authorization: string

  constructor(url: string, name: string) {
    super(url)
    this.#authorization = basic(name)
  }

  override send(method: string, path: string, { headers = {}, ...call }: Call = {}): Promise<Answer> {
    return super.send(method, path, { ...call, headers: { authorization: this.#authorization, ...headers } })
  }
}

export interface SecuredRegistry extends TestRegistry {
  /** @param name undefined: nobody in particular. */
  as(name?: string): RegistryClient
}

export interface SecuredOptions extends Omit<TestRegistryOptions, 'security'> {
  readonly log?: Logger | undefined
  readonly anonymous?: boolean | undefined
  readonly layers?: Omit<RegistrySecurity, 'access'> | undefined
}

/**
 * A registry with passwords (Basic), the tenants `acme` (private), `site` (public) and `other` (private), and as members of
 * acme `gina` (guest), `dave` and `dora` (developers), `mia` (maintainer); `zoe` belongs to nothing, `oscar` owns other, and
 * `admin` may do everything.
 */
export async function startSecured({
  anonymous = true,
  layers,
  ...options
}: SecuredOptions = {}): Promise<SecuredRegistry> {
  const names = ['gina', 'dave', 'dora', 'mia', 'zoe', 'oscar']
  const identities = new KnownIdentities(
    ...names.map(name => identityOf(name)),
    identityOf('admin', { isAdmin: true }),
    identityOf('ci/oscar', { memberships: [{ tenant: parseTenantName('other'), role: 'developer' }] }),
  )
  const registry = await startRegistry({
    ...options,
    security: metadata => {
      const policy = new AccessPolicy({ tenants: metadata, anonymous, admins: [] })
      return { ...layers, access: new BasicAccess({ identities, policy, service: 'varve' }) }
    },
  })
  const { metadata, url } = registry
  const acme = parseTenantName('acme')
  const other = parseTenantName('other')
  await metadata.createTenant({ name: acme })
  await metadata.createTenant({ name: parseTenantName('site'), visibility: 'public' })
  await metadata.createTenant({ name: other })
  for (const [name, role] of [
    ['gina', 'guest'],
    ['dave', 'developer'],
    ['dora', 'developer'],
    ['mia', 'maintainer'],
  ] as const)
    await metadata.setMember(acme, parseAccountName(name), role)
  await metadata.setMember(other, parseAccountName('oscar'), 'owner')
  return {
    ...registry,
    as: name => (name === undefined ? new RegistryClient(url) : new KnownClient(url, name)),
  }
}

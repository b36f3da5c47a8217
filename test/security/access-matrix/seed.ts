import { hash } from 'bcryptjs'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { testPasswordCost } from '../../support/administration.ts'
import { passwordOf } from '../../support/known-identities.ts'
import type { Person } from './people.ts'
import { repositories, tenantIn, tenants } from './repositories.ts'

/** With the grants of their repositories, and what these are against their tenants. */
export async function addTenants(metadata: Metadata): Promise<void> {
  for (const [name, visibility] of Object.entries(tenants))
    await metadata.createTenant({ name: parseTenantName(name), visibility })
  for (const { name, visibility, grant } of repositories) {
    if (visibility !== undefined)
      await metadata.setRepositoryVisibility(parseRepositoryName(name), visibility)
    if (grant === undefined) continue
    const { to, pattern, actions } = grant
    const subject = to === '@accounts' || to === '@everybody' ? to : parseAccountName(to)
    const tenant = parseTenantName(tenantIn(name))
    await metadata.addGrant({ tenant, subject, pattern, actions })
  }
}

/** With memberships; credentials beside passwords come later. */
export async function addPerson(
  metadata: Metadata,
  { account, by, isAdmin, roles = {}, state }: Person,
): Promise<void> {
  // Of an OpenID provider's accounts only the provider knows.
  if (account === null || by === 'OpenID token') return
  const name = parseAccountName(account)
  await metadata.createAccount({
    name,
    ...(by === 'password'
      ? { kind: 'user', passwordHash: await hash(passwordOf(account), testPasswordCost) }
      : { kind: 'robot', tenant: parseTenantName(account.split('+')[0] ?? '') }),
    isAdmin: isAdmin ?? false,
    isDisabled: state === 'disabled',
    expiresAt: state === 'expired' ? new Date(Date.now() - 60_000) : null,
  })
  for (const [tenant, role] of Object.entries(roles))
    await metadata.setMember(parseTenantName(tenant), name, role)
}

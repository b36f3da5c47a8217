import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { type TenantName, tenantOf } from '../../../storage/accounts/names.ts'
import type { Page } from '../../../storage/metadata/page.ts'
import type { Tenant } from '../../../storage/metadata/tenant-records.ts'
import type { RepositoryName } from '../../../storage/reference.ts'
import type { Standing } from '../actor.ts'
import type { tenantOperations } from '../operations/tenants.ts'
import { requesterOfActor } from '../requester.ts'
import { auditView, grantView, memberView, ruleView, tenantView, usageView, viewOf } from '../views.ts'
import { auditPage } from './audit.ts'
import { maxUnpaged, pageOf, wholeOf } from './pages.ts'
import type { AdminParts, Implementations } from './parts.ts'
import { purgeDeleted } from './purge-deleted.ts'

/** What each operation on tenants, and on what is in them, does. */
export function createTenantAdministration({
  metadata,
  checkTrustPolicy,
}: AdminParts): Implementations<keyof typeof tenantOperations> {
  return {
    'tenant.create': async (tenant, { signal }) => {
      if (typeof tenant.trustPolicy === 'string') await checkTrustPolicy(tenant.trustPolicy, tenant.name)
      return viewOf(tenantView, await metadata.createTenant(tenant, { signal }))
    },
    'tenant.list': async (input, { standing, signal }) =>
      await pageOf(
        input,
        tenantView,
        async page =>
          standing.isAdmin
            ? await metadata.listTenants(page, { signal })
            : await ownTenants(metadata, standing, page, { signal }),
        ({ name }) => name,
      ),
    'tenant.get': async ({ tenant }, { signal }) =>
      viewOf(tenantView, await metadata.getTenant(tenant, { signal })),
    'tenant.update': async ({ tenant, ...change }, { signal }) => {
      if (typeof change.trustPolicy === 'string') await checkTrustPolicy(change.trustPolicy, tenant)
      return viewOf(tenantView, await metadata.updateTenant(tenant, change, { signal }))
    },
    'tenant.delete': async ({ tenant, purge }, { actor, signal }) => {
      if (purge === true) await purgeDeleted(metadata, tenant, { by: requesterOfActor(actor), signal })
      await metadata.deleteTenant(tenant, { signal })
    },
    'tenant.audit': async ({ tenant, about, repository, ...filter }, { signal }) => {
      if (repository !== undefined) requireIn(tenant, repository)
      const target = repository ?? (about === 'tenant' ? `tenant:${tenant}` : `${tenant}/**`)
      return await auditPage(metadata, { ...filter, target }, auditView, {
        signal,
      })
    },

    'member.list': async ({ tenant, ...input }, { signal }) =>
      await pageOf(
        input,
        memberView,
        async page => await metadata.listMembers(tenant, page, { signal }),
        ({ account }) => account,
      ),
    'member.set': async ({ tenant, account, role }, { signal }) =>
      await metadata.setMember(tenant, account, role, { signal }),
    'member.remove': async ({ tenant, account }, { signal }) =>
      await metadata.removeMember(tenant, account, { signal }),

    'grant.list': async ({ tenant }, { signal }) =>
      wholeOf(grantView, await metadata.listGrants(tenant, { signal })),
    'grant.add': async (grant, { signal }) => {
      requirePattern(grant.tenant, grant.pattern)
      requireRoom(await metadata.listGrants(grant.tenant, { signal }), 'grant', grant.tenant)
      return viewOf(grantView, await metadata.addGrant(grant, { signal }))
    },
    'grant.remove': async ({ tenant, grant }, { signal }) =>
      await metadata.removeGrant(tenant, grant, { signal }),

    'repository.get': async ({ repository }, { signal }) =>
      await visibilityOf(metadata, repository, { signal }),
    'repository.set': async ({ repository, visibility }, { signal }) => {
      await metadata.getTenant(tenantOf(repository), { signal })
      await metadata.setRepositoryVisibility(repository, visibility, { signal })
      return await visibilityOf(metadata, repository, { signal })
    },

    'rule.list': async ({ tenant }, { signal }) => {
      await metadata.getTenant(tenant, { signal })
      return wholeOf(ruleView, await metadata.listTagRules(tenant, { signal }))
    },
    'rule.add': async (rule, { signal }) => {
      requirePattern(rule.tenant, rule.repositories)
      await metadata.getTenant(rule.tenant, { signal })
      requireRoom(await metadata.listTagRules(rule.tenant, { signal }), 'rule', rule.tenant)
      return viewOf(ruleView, await metadata.addTagRule(rule, { signal }))
    },
    'rule.remove': async ({ tenant, rule }, { signal }) =>
      await metadata.removeTagRule(tenant, rule, { signal }),

    'usage.get': async ({ tenant }, { signal }) => {
      const { quotaBytes, quotaRepositories } = await metadata.getTenant(tenant, { signal })
      return viewOf(usageView, {
        ...(await metadata.getUsage(tenant, { signal })),
        quotaBytes,
        quotaRepositories,
      })
    },
  }
}

/** Those that the caller is a member of; a provider of identities may name some that do not exist. */
async function ownTenants(
  metadata: AdminParts['metadata'],
  { roles }: Standing,
  { limit, after }: Page,
  options: Abortable,
): Promise<Tenant[]> {
  const names = [...roles.keys()].filter(name => after === undefined || name > after).sort()
  const tenants: Tenant[] = []
  for (const name of names) {
    if (tenants.length >= limit) break
    const tenant = await metadata.getTenant(name, options).catch((error: unknown) => {
      if (isDomainError(error, 'not_found')) return undefined
      throw error
    })
    if (tenant !== undefined) tenants.push(tenant)
  }
  return tenants
}

async function visibilityOf(
  metadata: AdminParts['metadata'],
  repository: RepositoryName,
  options: Abortable,
) {
  const tenant = await metadata.getTenant(tenantOf(repository), options)
  const { repositoryVisibility } = await metadata.accessFacts(null, repository, options)
  return {
    name: repository,
    tenant: tenant.name,
    visibility: repositoryVisibility ?? tenant.visibility,
    isOwn: repositoryVisibility !== undefined,
  }
}

/** Patterns hold for whole names, so one that begins otherwise would never fit. @throws DomainError `invalid`. */
export function requirePattern(tenant: TenantName, pattern: string): void {
  if (pattern === tenant || pattern.startsWith(`${tenant}/`)) return
  throw new DomainError(
    'invalid',
    `The pattern ${pattern} fits no repository of ${tenant}; it has to begin with ${tenant}/, such as ${tenant}/**.`,
    { resource: 'grant', name: pattern },
  )
}

/** They are read at each decision. @throws DomainError `conflict`. */
export function requireRoom(
  present: readonly unknown[],
  resource: 'grant' | 'rule' | 'credential',
  of: string,
  most: number = maxUnpaged,
): void {
  if (present.length < most) return
  throw new DomainError(
    'conflict',
    `${of} has ${present.length} ${resource}s already, and more are not kept; remove some first.`,
    { resource, name: of },
  )
}

function requireIn(tenant: TenantName, repository: RepositoryName): void {
  if (tenantOf(repository) === tenant) return
  throw new DomainError('invalid', `${repository} is no repository of ${tenant}.`, {
    resource: 'tenant',
    name: repository,
  })
}

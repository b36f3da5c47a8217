import type { TenantName } from '../../storage/accounts/names.ts'
import { namePattern } from '../../storage/name-pattern.ts'
import type { ConfiguredPolicy } from './policies.ts'

/**
 * The policies of the configuration that may cover repositories of a tenant, each with those of its patterns that may. The
 * others may name other tenants and their repositories, of which this one's members know nothing.
 */
export function policiesForTenant(
  configured: readonly ConfiguredPolicy[],
  tenant: TenantName,
): readonly ConfiguredPolicy[] {
  return configured.flatMap(({ name, policy }) => {
    const repositories = policy.repositories.filter(pattern => mayFitIn(tenant, pattern))
    return repositories.length === 0 ? [] : [{ name, policy: { ...policy, repositories } }]
  })
}

/** Whether a pattern may fit a repository of the tenant. */
function mayFitIn(tenant: TenantName, pattern: string): boolean {
  const [, segment = '', end = ''] = /^((?:[^*/]|\*(?!\*))*)(\*\*|\/|$)/.exec(pattern) ?? []
  // What comes behind `**` may be in any segment.
  return end === '**' ? namePattern(`${segment}**`).test(`${tenant}/`) : namePattern(segment).test(tenant)
}

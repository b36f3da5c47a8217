import { type RetentionPolicy, retentionPolicySchema } from '../../retention-policy.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { type TenantName, tenantOf } from '../../storage/accounts/names.ts'
import type { RetentionRecords } from '../../storage/metadata/retention-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { type ReadyPolicy, readyPolicy } from './ready-policy.ts'

export interface ConfiguredPolicy {
  readonly name: string
  readonly policy: RetentionPolicy
}

/** Which policies cover a repository: its tenant's, and then the configuration's. */
export interface Policies {
  readonly isEmpty: boolean
  covering(repository: RepositoryName): readonly ReadyPolicy[]
}

export interface PolicySource {
  readonly records: Pick<RetentionRecords, 'listRetentionPolicies'>
  readonly configured: readonly ConfiguredPolicy[]
  /** What looks after itself: copies of upstreams are evicted. */
  readonly isExempt: (repository: RepositoryName) => boolean
}

/** @param of whose repositories are asked about; of all tenants unless given. */
export async function readPolicies(
  { records, configured, isExempt }: PolicySource,
  { tenant: of, ...options }: Abortable & { readonly tenant?: TenantName | undefined },
): Promise<Policies> {
  const stored = await records.listRetentionPolicies(of, options)
  const byTenant = Map.groupBy(
    stored.map(({ tenant, id, rules }) => {
      const policy = parseStored(rules)
      return { tenant, policy: policy && readyPolicy(id, policy) }
    }),
    ({ tenant }) => tenant,
  )
  const own = configured.map(({ name, policy }) => readyPolicy(name, policy))
  return {
    isEmpty: stored.length + own.length === 0,
    covering: repository => {
      if (isExempt(repository)) return []
      const ofTenant = (byTenant.get(tenantOf(repository)) ?? []).map(({ policy }) => policy)
      // One that cannot be understood may be what keeps something.
      if (ofTenant.includes(undefined)) return []
      return [...ofTenant.filter(policy => policy !== undefined), ...own].filter(policy =>
        policy.covers(repository),
      )
    },
  }
}

/** Undefined for what a newer version has stored, and this one does not understand. */
export function parseStored(rules: string): RetentionPolicy | undefined {
  return retentionPolicySchema.safeParse(JSON.parse(rules)).data
}

import { LRUCache } from 'lru-cache'
import type { Abortable } from '../../storage/abortable.ts'
import { type TenantName, tenantOf } from '../../storage/accounts/names.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { type QuotaRecords, TenantQuota } from './tenant-quota.ts'
import type { OnLimited } from './throttled.ts'

export interface TenantQuotasOptions {
  readonly records: QuotaRecords
  readonly onLimited?: OnLimited | undefined
  /** Milliseconds that only grow. */
  readonly now?: (() => number) | undefined
}

/** Tenants that are kept in mind. */
const keptTenants = 10_000

/** The tenants' quotas, as this process knows them. */
export class TenantQuotas {
  readonly #records: QuotaRecords
  readonly #onLimited: OnLimited
  readonly #now: () => number
  readonly #tenants = new LRUCache<TenantName, TenantQuota>({ max: keptTenants })

  constructor({
    records,
    onLimited = () => {},
    now = performance.now.bind(performance),
  }: TenantQuotasOptions) {
    this.#records = records
    this.#onLimited = onLimited
    this.#now = now
  }

  /** That of a repository's tenant; undefined when there is none, or when it has no quota. */
  async of(repository: RepositoryName, options?: Abortable): Promise<TenantQuota | undefined> {
    const tenant = tenantOf(repository)
    let quota = this.#tenants.get(tenant)
    if (quota === undefined) {
      quota = new TenantQuota(tenant, this.#records, this.#onLimited, this.#now)
      this.#tenants.set(tenant, quota)
    }
    return (await quota.hasLimits(options)) ? quota : undefined
  }
}

import { LRUCache } from 'lru-cache'
import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { type TenantName, tenantOf } from '../../storage/accounts/names.ts'
import type { Tenant } from '../../storage/metadata/tenant-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { TrustPolicies } from './policy.ts'

/** Milliseconds for which a policy may still be the one before: a pull is many requests. */
const staleMs = 2000
const maxTenants = 10_000
/** Characters of text, whose keys and roots are kept ready. */
const maxPolicyText = 16 * 1024 * 1024

/** Who knows tenants: `getTenant` of TenantRecords. */
export interface TenantSource {
  /** @throws DomainError `not_found`. */
  getTenant(name: TenantName, options?: Abortable): Promise<Pick<Tenant, 'trustPolicy'>>
}

/** The trust policies of tenants, ready to be used. */
export class TenantPolicies {
  readonly #tenants: TenantSource
  readonly #texts = new LRUCache<TenantName, { readonly text: string | null }>({
    max: maxTenants,
    maxSize: maxPolicyText,
    sizeCalculation: ({ text }) => (text?.length ?? 0) + 1,
    ttl: staleMs,
  })
  readonly #parsed = new LRUCache<string, TrustPolicies>({
    maxSize: maxPolicyText,
    sizeCalculation: (_, text) => text.length + 1,
  })

  constructor(tenants: TenantSource) {
    this.#tenants = tenants
  }

  /**
   * Undefined when the repository's tenant has none. It may be out of date by two seconds.
   * @throws DomainError `invalid` when it has one that cannot be understood.
   */
  async of(repository: RepositoryName, options?: Abortable): Promise<TrustPolicies | undefined> {
    const text = await this.#textOf(tenantOf(repository), options)
    if (text === null) return undefined
    const known = this.#parsed.get(text)
    if (known !== undefined) return known
    // Loaded where there is one: keys, certificates and roots take a good deal of code.
    const { parseTrustPolicies } = await import('./policy.ts')
    const parsed = parseTrustPolicies(text)
    this.#parsed.set(text, parsed)
    return parsed
  }

  async #textOf(tenant: TenantName, options?: Abortable): Promise<string | null> {
    const known = this.#texts.get(tenant)
    if (known !== undefined) return known.text
    const text = await this.#read(tenant, options)
    this.#texts.set(tenant, { text })
    return text
  }

  async #read(tenant: TenantName, options?: Abortable): Promise<string | null> {
    try {
      return (await this.#tenants.getTenant(tenant, options)).trustPolicy
    } catch (error) {
      if (isDomainError(error, 'not_found')) return null
      throw error
    }
  }
}

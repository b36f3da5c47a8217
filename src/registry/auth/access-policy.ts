import type { Abortable } from '../../storage/abortable.ts'
import type { AccessFacts, TenantRecords } from '../../storage/metadata/tenant-records.ts'
import type { Access, Decision } from './access.ts'
import { decide, type Subject } from './policy.ts'

export interface AccessPolicyOptions {
  readonly tenants: Pick<TenantRecords, 'accessFacts'>
  /** Whether those without an account may do anything at all. */
  readonly anonymous: boolean
  /** Accounts that may do everything, beside those whose identity says so. */
  readonly admins: readonly string[]
}

const noFacts: AccessFacts = Object.freeze({
  tenant: undefined,
  repositoryVisibility: undefined,
  role: undefined,
  grants: [],
})

/** What the rules in the database, and those of the configuration, allow. Nothing is remembered: a change counts at once. */
export class AccessPolicy {
  readonly #tenants: Pick<TenantRecords, 'accessFacts'>
  readonly #anonymous: boolean
  readonly #admins: ReadonlySet<string>

  constructor({ tenants, anonymous, admins }: AccessPolicyOptions) {
    this.#tenants = tenants
    this.#anonymous = anonymous
    this.#admins = new Set(admins)
  }

  isAdmin({ account, isAdmin }: Pick<Subject, 'account' | 'isAdmin'>): boolean {
    return isAdmin || this.#admins.has(account)
  }

  /** @param identity null: nobody in particular. @throws DomainError `unavailable`. */
  async decide(identity: Subject | null, access: Access, options?: Abortable): Promise<Decision> {
    options?.signal?.throwIfAborted()
    const subject = identity && { ...identity, isAdmin: this.isAdmin(identity) }
    const needsFacts = access.kind === 'repository' && (subject === null ? this.#anonymous : !subject.isAdmin)
    const facts = needsFacts
      ? await this.#tenants.accessFacts(subject?.account ?? null, access.name, options)
      : noFacts
    return decide(subject, access, facts, { anonymous: this.#anonymous })
  }
}

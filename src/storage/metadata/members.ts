import { sql } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { AccountName, TenantName } from '../accounts/names.ts'
import type { Role } from '../accounts/roles.ts'
import type { Database } from './database.ts'
import { keepTenant } from './keep-tenant.ts'
import type { Page } from './page.ts'
import { storablePrefix } from './storable-text.ts'
import type { Member, MemberRecords, Membership, TenantList } from './tenant-records.ts'

export class KyselyMembers implements MemberRecords {
  readonly #database: Database
  readonly #tenants: TenantList
  readonly #now: () => number

  constructor(database: Database, tenants: TenantList, now: () => number) {
    this.#database = database
    this.#tenants = tenants
    this.#now = now
  }

  async setMember(tenant: TenantName, account: AccountName, role: Role, options?: Abortable): Promise<void> {
    await this.#database.write(options, async db => {
      await keepTenant(db, tenant)
      await db
        .insertInto('tenant_members')
        .values({ tenant, account, role, since: this.#now() })
        .onConflict(conflict => conflict.columns(['tenant', 'account']).doUpdateSet({ role }))
        .execute()
    })
  }

  async removeMember(tenant: TenantName, account: AccountName, options?: Abortable): Promise<void> {
    const { numDeletedRows } = await this.#database.write(options, db =>
      db
        .deleteFrom('tenant_members')
        .where('tenant', '=', tenant)
        .where('account', '=', account)
        .executeTakeFirstOrThrow(),
    )
    if (numDeletedRows === 0n)
      throw new DomainError('not_found', `${account} is not a member of the tenant ${tenant}.`, {
        resource: 'account',
        name: account,
      })
  }

  async listMembers(tenant: TenantName, { limit, after = '' }: Page, options?: Abortable): Promise<Member[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('tenant_members')
        .select(['account', 'role', 'since'])
        .where('tenant', '=', tenant)
        .where(sql<boolean>`account > ${storablePrefix(after)}`)
        .orderBy('account')
        .limit(limit)
        .execute(),
    )
    if (rows.length === 0) await this.#tenants.getTenant(tenant, options)
    return rows.map(({ account, role, since }) => ({ account, role, since: new Date(since) }))
  }

  async listMemberships(account: AccountName, options?: Abortable): Promise<Membership[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('tenant_members')
        .select(['tenant', 'role'])
        .where('account', '=', account)
        .orderBy('tenant')
        .execute(),
    )
    return rows.map(({ tenant, role }) => ({ tenant, role }))
  }
}

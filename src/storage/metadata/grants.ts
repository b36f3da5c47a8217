import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { TenantName } from '../accounts/names.ts'
import { actions } from '../accounts/roles.ts'
import type { Database } from './database.ts'
import { keepTenant } from './keep-tenant.ts'
import type { GrantRow } from './rows/accounts.ts'
import { assertStorable, isStorable } from './storable-text.ts'
import { type Grant, type GrantRecords, maxGrants, type NewGrant, type TenantList } from './tenant-records.ts'

export class KyselyGrants implements GrantRecords {
  readonly #database: Database
  readonly #tenants: TenantList
  readonly #now: () => number

  constructor(database: Database, tenants: TenantList, now: () => number) {
    this.#database = database
    this.#tenants = tenants
    this.#now = now
  }

  async addGrant(grant: NewGrant, options?: Abortable): Promise<Grant> {
    const { tenant, subject, pattern } = grant
    assertStorable({ resource: 'grant', name: subject }, pattern)
    const row = {
      // Nobody is told by it how many there are in other tenants.
      id: randomBytes(8).toString('hex'),
      tenant,
      subject,
      pattern,
      actions: JSON.stringify(grant.actions),
      created_at: this.#now(),
    }
    await this.#database.write(options, async db => {
      await keepTenant(db, tenant)
      const { count } = await db
        .selectFrom('grants')
        .select(({ fn }) => fn.countAll().as('count'))
        .where('tenant', '=', tenant)
        .executeTakeFirstOrThrow()
      if (Number(count) >= maxGrants)
        throw new DomainError(
          'conflict',
          `The tenant ${tenant} has ${maxGrants} grants, which is the most; remove one, or use a pattern for several.`,
          { resource: 'grant', name: tenant },
        )
      await db.insertInto('grants').values(row).execute()
    })
    return toGrant(row)
  }

  async removeGrant(tenant: TenantName, id: string, options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    const isThere =
      isStorable(id) &&
      (await this.#database.write(options, db =>
        db
          .deleteFrom('grants')
          .where('tenant', '=', tenant)
          .where('id', '=', id)
          .returning('id')
          .executeTakeFirst(),
      )) !== undefined
    if (!isThere)
      throw new DomainError('not_found', `The tenant ${tenant} has no grant of this id.`, {
        resource: 'grant',
        name: id,
      })
  }

  async listGrants(tenant: TenantName, options?: Abortable): Promise<Grant[]> {
    const rows = await this.#database.read(options, db =>
      db.selectFrom('grants').selectAll().where('tenant', '=', tenant).orderBy('serial').execute(),
    )
    if (rows.length === 0) await this.#tenants.getTenant(tenant, options)
    return rows.map(toGrant)
  }
}

const actionsSchema = z.array(z.enum(actions))

export function toGrant(row: Omit<GrantRow, 'serial'>): Grant {
  return {
    id: row.id,
    tenant: row.tenant,
    subject: row.subject,
    pattern: row.pattern,
    actions: actionsSchema.parse(JSON.parse(row.actions)),
    createdAt: new Date(row.created_at),
  }
}

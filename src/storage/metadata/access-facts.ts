import type { Kysely } from 'kysely'
import type { Abortable } from '../abortable.ts'
import { type AccountName, type TenantName, tenantOf } from '../accounts/names.ts'
import type { Visibility } from '../accounts/roles.ts'
import type { RepositoryName } from '../reference.ts'
import type { Database } from './database.ts'
import { toGrant } from './grants.ts'
import { keepTenant } from './keep-tenant.ts'
import type { Placeholders, PreparedQuery } from './prepared.ts'
import type { Schema } from './schema.ts'
import type { AccessFacts, AccessRecords, GrantSubject } from './tenant-records.ts'
import type { Unchanged } from './unchanged.ts'

export class KyselyAccess implements AccessRecords {
  readonly #database: Database
  readonly #facts: PreparedQuery<FactsKey, FactsRow>
  readonly #known: Unchanged<AccessFacts>

  constructor(database: Database) {
    this.#database = database
    this.#facts = database.prepare(selectFacts)
    this.#known = database.unchanged()
  }

  async setRepositoryVisibility(
    repository: RepositoryName,
    visibility: Visibility | null,
    options?: Abortable,
  ): Promise<void> {
    const tenant = tenantOf(repository)
    await this.#database.write(options, async db => {
      await keepTenant(db, tenant)
      if (visibility === null)
        await db.deleteFrom('repository_visibility').where('repository', '=', repository).execute()
      else
        await db
          .insertInto('repository_visibility')
          .values({ repository, tenant, visibility })
          .onConflict(conflict => conflict.column('repository').doUpdateSet({ visibility }))
          .execute()
    })
  }

  async accessFacts(
    account: AccountName | null,
    repository: RepositoryName,
    options?: Abortable,
  ): Promise<AccessFacts> {
    const accounts = account === null ? null : '@accounts'
    const key: FactsKey = { tenant: tenantOf(repository), repository, account, accounts }
    return await this.#known.of(JSON.stringify([account, repository]), options, db => this.#select(db, key))
  }

  async #select(db: Kysely<Schema>, key: FactsKey): Promise<AccessFacts> {
    const rows = await this.#facts.takeAll(db, key)
    const [first] = rows
    return {
      tenant: first && { name: first.name, visibility: first.visibility },
      repositoryVisibility: first?.repository_visibility ?? undefined,
      role: first?.role ?? undefined,
      grants: rows.flatMap(row => (hasGrant(row) ? [toGrant({ ...row, tenant: row.name })] : [])),
    }
  }
}

type FactsKey = {
  readonly tenant: TenantName
  readonly repository: RepositoryName
  readonly account: AccountName | null
  /** Null when there is none: then it is equal to nothing. */
  readonly accounts: '@accounts' | null
}

type FactsRow = Awaited<ReturnType<ReturnType<typeof selectFacts>['execute']>>[number]

type GrantColumns = 'id' | 'subject' | 'pattern' | 'actions' | 'created_at'

/** One row for each grant, or one without a grant; none when there is no tenant. */
function selectFacts(db: Kysely<Schema>, placeholder: Placeholders<FactsKey>) {
  const everybody: GrantSubject = '@everybody'
  return db
    .selectFrom('tenants')
    .leftJoin('repository_visibility', join =>
      join.on('repository_visibility.repository', '=', placeholder('repository')),
    )
    .leftJoin('tenant_members', join =>
      join
        .onRef('tenant_members.tenant', '=', 'tenants.name')
        .on('tenant_members.account', '=', placeholder('account')),
    )
    .leftJoin('grants', join =>
      join
        .onRef('grants.tenant', '=', 'tenants.name')
        .on('grants.subject', 'in', [placeholder('account'), placeholder('accounts'), everybody]),
    )
    .select([
      'tenants.name',
      'tenants.visibility',
      'repository_visibility.visibility as repository_visibility',
      'tenant_members.role',
      'grants.id',
      'grants.subject',
      'grants.pattern',
      'grants.actions',
      'grants.created_at',
    ])
    .where('tenants.name', '=', placeholder('tenant'))
    .orderBy('grants.serial')
}

function hasGrant(
  row: FactsRow,
): row is FactsRow & { [Column in GrantColumns]: NonNullable<FactsRow[Column]> } {
  return row.id !== null
}

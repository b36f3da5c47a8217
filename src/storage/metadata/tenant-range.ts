import { type RawBuilder, sql } from 'kysely'
import type { TenantName } from '../accounts/names.ts'
import type { RepositoryName } from '../reference.ts'

/**
 * Whether a repository's name is in the tenant: its name itself, or below it. A range, so that an index finds them; the
 * names of others that are in it too, such as `acme-labs/x` for `acme`, are few.
 */
export function inTenant(column: string, tenant: TenantName): RawBuilder<boolean> {
  const name = sql.ref(column)
  // In byte order '0' comes next after '/'.
  return sql<boolean>`(${name} >= ${tenant} and ${name} < ${`${tenant}0`} and (${name} = ${tenant} or ${name} >= ${`${tenant}/`}))`
}

/** Whether a repository's name is below this one; it itself is not. A range as well. */
export function below(column: string, prefix: RepositoryName): RawBuilder<boolean> {
  const name = sql.ref(column)
  return sql<boolean>`(${name} >= ${`${prefix}/`} and ${name} < ${`${prefix}0`})`
}

import { sql } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { CredentialUse } from './account-records.ts'
import { batches } from './batches.ts'
import type { Database } from './database.ts'
import { isStorable } from './storable-text.ts'

/** Notes the newest use of each account and of each credential, unless a newer one is known. */
export async function noteUses(
  database: Database,
  uses: readonly CredentialUse[],
  options: Abortable | undefined,
): Promise<void> {
  options?.signal?.throwIfAborted()
  const accounts = newest(uses.map(use => [use.account, use.at]))
  const credentials = newest(
    uses.flatMap(({ credential, at }) => (credential === undefined ? [] : [[credential, at]])),
  )
  for (const batch of batches(accounts))
    await database.write(options, db =>
      db
        .updateTable('accounts')
        .from(valuesOf(batch))
        .set({ last_used_at: usedAt })
        .where(sql<boolean>`accounts.name = used.column1`)
        .where(sql<boolean>`coalesce(accounts.last_used_at < used.column2, true)`)
        .execute(),
    )
  for (const batch of batches(credentials))
    await database.write(options, db =>
      db
        .updateTable('credentials')
        .from(valuesOf(batch))
        .set({ last_used_at: usedAt })
        .where(sql<boolean>`credentials.id = used.column1`)
        .where(sql<boolean>`coalesce(credentials.last_used_at < used.column2, true)`)
        .execute(),
    )
}

type Use = readonly [name: string, at: number]

/** By name, so that replicas that note the same take the rows in the same order. */
function newest(uses: readonly (readonly [name: string, at: Date])[]): Use[] {
  const times = new Map<string, number>()
  for (const [name, at] of uses)
    if (isStorable(name)) times.set(name, Math.max(at.getTime(), times.get(name) ?? 0))
  return [...times].sort(([one], [other]) => (one < other ? -1 : 1))
}

/** Both databases name the columns of `values` so. PostgreSQL takes parameters for text where nothing says more. */
function valuesOf(uses: readonly Use[]) {
  const rows = uses.map(([name, at]) => sql`(${name}, cast(${at} as bigint))`)
  return sql<{ column1: string; column2: number }>`(values ${sql.join(rows)})`.as('used')
}

const usedAt = sql<number>`used.column2`

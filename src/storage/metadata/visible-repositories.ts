import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Digest } from '../digest.ts'
import { parseRepositoryName, type RepositoryName } from '../reference.ts'
import type { Page } from './page.ts'
import type { Viewer } from './repository-records.ts'
import { isSeen } from './repository-rows.ts'
import type { Schema } from './schema.ts'
import type { GrantSubject } from './tenant-records.ts'

/** Ranges that are looked at first; then more and more, for most may be empty. */
const firstBatch = 16
const batchGrowth = 8

/** As {@link RepositoryRecords.listRepositoriesOf}. */
export function visibleRepositories(
  db: Kysely<Schema>,
  viewer: Viewer,
  page: Required<Page>,
): Promise<RepositoryName[]> {
  return namesInRanges(db, viewer, page, sql`repositories where deleted_at is null`, sql.ref('name'))
}

/** As {@link BlobRecords.repositoriesWithBlob}. */
export function visibleRepositoriesWithBlob(
  db: Kysely<Schema>,
  viewer: Viewer,
  digest: Digest,
  limit: number,
): Promise<RepositoryName[]> {
  const links = sql`blob_links where digest = ${digest} and ${isSeen(sql.ref('blob_links.repository'))}`
  return namesInRanges(db, viewer, { limit, after: '' }, links, sql.ref('repository'))
}

/**
 * A subquery for each range makes both databases go from one range to the next. As a join, PostgreSQL at times begins
 * with the names that the viewer may not see; and of a blob's links that takes the longer the more there are, so that
 * it tells of them.
 *
 * @param source a table, with a condition.
 */
async function namesInRanges(
  db: Kysely<Schema>,
  viewer: Viewer,
  { limit, after }: Required<Page>,
  source: RawBuilder<unknown>,
  name: RawBuilder<unknown>,
): Promise<RepositoryName[]> {
  const found: RepositoryName[] = []
  let position = after
  for (let batch = firstBatch; ; batch *= batchGrowth) {
    const rows = await withVisibleRanges(db, viewer)
      .with('next', query =>
        query
          .selectFrom('ranges')
          // One lower bound: of two, SQLite may take the one that has all other tenants behind it.
          .select(sql<string>`case when first > ${after} then first else ${after} end`.as('first'))
          .select('beyond')
          .where(sql<boolean>`beyond > ${position}`)
          .orderBy('first')
          .limit(batch),
      )
      .selectFrom('next')
      .select('beyond')
      .select(
        sql<string | null>`(
          select string_agg(name, ' ') from (
            select ${name} as name from ${source}
            and ${name} >= next.first and ${name} < next.beyond and ${name} <> ${after}
            order by ${name} limit ${limit}
          ) as found
        )`.as('names'),
      )
      .orderBy('beyond')
      .execute()
    for (const { names } of rows)
      if (names !== null) found.push(...names.split(' ').map(parseRepositoryName).sort())
    if (found.length >= limit) return found.slice(0, limit)
    const last = rows.at(-1)
    if (last === undefined || rows.length < batch) return found
    position = last.beyond
  }
}

/**
 * A query that begins with a table `ranges`: where in the byte order of names the repositories are that the viewer may
 * see. No two overlap. To look up names by it costs a search for each tenant that is visible, and what is not visible is
 * never read.
 */
function withVisibleRanges(db: Kysely<Schema>, { account, tenants = [] }: Viewer) {
  const everybody: GrantSubject[] = ['@everybody']
  const subjects = account === null ? everybody : [...everybody, '@accounts' as const, account]
  return db
    .with('visible', query =>
      query
        .selectFrom('tenants')
        .select('name')
        .where(tenant =>
          tenants.length === 0
            ? tenant('visibility', '=', 'public')
            : tenant.or([tenant('visibility', '=', 'public'), tenant('name', 'in', tenants)]),
        )
        .union(query.selectFrom('tenant_members').select('tenant as name').where('account', '=', account))
        .union(query.selectFrom('grants').select('tenant as name').where('subject', 'in', subjects)),
    )
    .with('ranges', query =>
      query
        .selectFrom('visible')
        // What belongs to a tenant: `acme/…`. What comes after `/` is `0`.
        .select([sql<string>`name || '/'`.as('first'), sql<string>`name || '0'`.as('beyond')])
        .unionAll(
          query
            .selectFrom('visible')
            // One name alone: no character of a name is before `!`.
            .select([sql<string>`name`.as('first'), sql<string>`name || '!'`.as('beyond')]),
        )
        .unionAll(
          query
            .selectFrom('repository_visibility')
            .select([sql<string>`repository`.as('first'), sql<string>`repository || '!'`.as('beyond')])
            .where('visibility', '=', 'public')
            .where('tenant', 'not in', hidden => hidden.selectFrom('visible').select('name')),
        ),
    )
}

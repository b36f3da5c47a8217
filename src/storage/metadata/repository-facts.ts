import { type Kysely, sql } from 'kysely'
import type { RepositoryName } from '../reference.ts'
import type { Page } from './page.ts'
import type { RepositoryFacts, RepositoryFilter, RepositoryState } from './repository-records.ts'
import { unknownRepository } from './repository-rows.ts'
import type { Schema } from './schema.ts'
import { storablePrefix } from './storable-text.ts'
import { inTenant } from './tenant-range.ts'

interface StateRow {
  readonly name: RepositoryName
  readonly created_at: number
  readonly deleted_at: number | null
  readonly goes_at: number | null
}

/** As {@link RepositoryChangeRecords.listRepositoryStates}. */
export async function listStates(
  db: Kysely<Schema>,
  { tenant, isDeleted }: RepositoryFilter,
  { limit, after = '' }: Page,
): Promise<RepositoryState[]> {
  const rows = await selectStates(db)
    .where('deleted_at', isDeleted ? 'is not' : 'is', null)
    .where(tenant === undefined ? sql<boolean>`true` : inTenant('name', tenant))
    .where(sql<boolean>`name > ${storablePrefix(after)}`)
    .orderBy('name')
    .limit(limit)
    .execute()
  return rows.map(stateOf)
}

/** As {@link RepositoryChangeRecords.describeRepository}. */
export async function describeRepository(db: Kysely<Schema>, name: RepositoryName): Promise<RepositoryFacts> {
  const row = await selectStates(db)
    .select(
      sql<number>`(select count(*) from deleted_manifests where repository = ${name})`.as('deletedManifests'),
    )
    .select(sql<number>`(select count(*) from manifests where repository = ${name})`.as('manifests'))
    .select(sql<number>`(select count(*) from tags where repository = ${name})`.as('tags'))
    .select(
      sql<number | null>`(select max(created_at) from manifests where repository = ${name})`.as('pushed_at'),
    )
    .select(
      sql<number>`cast(
        (select coalesce(sum(size), 0) from manifests where repository = ${name})
        + (select coalesce(sum(blobs.size), 0) from blob_links join blobs on blobs.digest = blob_links.digest
          where blob_links.repository = ${name})
      as bigint)`.as('bytes'),
    )
    .where('name', '=', name)
    .executeTakeFirst()
  if (row === undefined) throw unknownRepository(name)
  const { manifests, tags, bytes, deletedManifests, pushed_at } = row
  return { ...stateOf(row), manifests, tags, bytes, deletedManifests, pushedAt: dateOf(pushed_at) }
}

function selectStates(db: Kysely<Schema>) {
  return db
    .selectFrom('repositories')
    .select(['name', 'created_at', 'deleted_at'])
    .select(
      sql<number | null>`(
        select max(goes_at) from deleted_manifests where repository = repositories.name
      )`.as('goes_at'),
    )
}

function stateOf({ name, created_at, deleted_at, goes_at }: StateRow): RepositoryState {
  return { name, createdAt: new Date(created_at), deletedAt: dateOf(deleted_at), goesAt: dateOf(goes_at) }
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms)
}

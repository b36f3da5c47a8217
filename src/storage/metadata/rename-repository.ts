import { sql, type Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import { tenantOf } from '../accounts/names.ts'
import type { RepositoryName } from '../reference.ts'
import type { Requester } from '../requester.ts'
import { assertAllMutable, contentsOf } from './bury-repository.ts'
import { copyManifests } from './copy-manifests.ts'
import { endUploads } from './end-uploads.ts'
import type { EventWriter } from './event-writer.ts'
import { moveLinks } from './move-links.ts'
import { writeRenameEvents } from './rename-events.ts'
import { recordRename } from './rename-history.ts'
import { assertRoom } from './rename-quota.ts'
import { moveVisibility } from './rename-visibility.ts'
import type { MovedContents, RepositoryRename } from './repository-records.ts'
import { unknownRepository } from './repository-rows.ts'
import { type RepositoryColumn, repositoryColumns, type Treatment } from './repository-tables.ts'
import type { Schema } from './schema.ts'
import type { UsageWriter } from './usage-writer.ts'

export interface RenameParts {
  readonly events: EventWriter
  readonly usage: UsageWriter
}

export interface RenameOccasion {
  readonly isForced: boolean
  readonly by: Requester | undefined
  /** Milliseconds since 1970. */
  readonly now: number
}

/** As {@link RepositoryChangeRecords.renameRepository}. */
export async function renameRepository(
  db: Transaction<Schema>,
  parts: RenameParts,
  { from, to, visibility }: RepositoryRename,
  { isForced, by, now }: RenameOccasion,
): Promise<MovedContents> {
  // Before the repository: who commits an upload has its row already when they come to it.
  await endUploads(db, from, now)
  const row = await db
    .selectFrom('repositories')
    .select(['created_at', 'review_at', 'deleted_at'])
    .where('name', '=', from)
    // Who refers to the row waits, and finds it gone.
    .forUpdate()
    .executeTakeFirst()
  if (row === undefined || row.deleted_at !== null) throw unknownRepository(from)
  if (to === from)
    throw new DomainError('already_exists', `The repository ${from} has this name already.`, {
      resource: 'repository',
      name: to,
    })
  const { deleted_at: _, ...columns } = row
  await insertTarget(db, to, columns)
  if (!isForced) await assertAllMutable(db, from)
  await moveVisibility(db, { from, to, visibility })
  await writeRenameEvents(db, parts.events, { from, to, by, now })
  await copyManifests(db, from, to)
  const bytes = await moveLinks(db, from, to)
  await follow(db, from, to)
  const own = await manifestBytes(db, to)
  if (tenantOf(from) !== tenantOf(to)) {
    await parts.usage.write(db, from, { bytes: -bytes.left - own, repositories: -1 })
    await parts.usage.write(db, to, { bytes: bytes.added + own, repositories: 1 })
    await assertRoom(db, to, now)
  }
  await endUploads(db, from, now)
  for (const table of ['manifests', 'deleted_manifests'] as const)
    await db.deleteFrom(table).where('repository', '=', from).execute()
  await db.deleteFrom('repositories').where('name', '=', from).execute()
  await recordRename(db, to, { at: now, account: by?.account ?? null })
  return contentsOf(db, to)
}

/** @throws DomainError `already_exists`. */
async function insertTarget(
  db: Transaction<Schema>,
  to: RepositoryName,
  columns: { readonly created_at: number; readonly review_at: number | null },
): Promise<void> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('repositories')
    .values({ name: to, ...columns })
    .onConflict(conflict => conflict.column('name').doNothing())
    .executeTakeFirstOrThrow()
  if (numInsertedOrUpdatedRows === 1n) return
  const row = await db
    .selectFrom('repositories')
    .select('deleted_at')
    .where('name', '=', to)
    .executeTakeFirst()
  const isDeleted = row !== undefined && row.deleted_at !== null
  throw new DomainError(
    'already_exists',
    isDeleted
      ? `A repository ${to} was deleted and is still kept; restore it, or purge it first.`
      : `There is a repository ${to} already; choose another name, or delete it first.`,
    { resource: 'repository', name: to },
  )
}

async function follow(db: Transaction<Schema>, from: RepositoryName, to: RepositoryName): Promise<void> {
  // What is left of one that had the name before.
  await db.deleteFrom('tag_expiries').where('repository', '=', to).execute()
  const elsewhere: ReadonlySet<string> = new Set(['blob_links', 'repository_visibility'])
  for (const [table, column] of treated('follow'))
    if (!elsewhere.has(table))
      await sql`
        update ${sql.table(table)} set ${sql.ref(column)} = ${to} where ${sql.ref(column)} = ${from}`.execute(
        db,
      )
  for (const [table, column] of treated('forgotten'))
    await sql`delete from ${sql.table(table)} where ${sql.ref(column)} = ${from}`.execute(db)
}

function treated(treatment: Treatment): RepositoryColumn[] {
  return repositoryColumns.filter(([, , each]) => each === treatment)
}

/** What the tenant uses counts those that can be taken back as well. */
async function manifestBytes(db: Transaction<Schema>, name: RepositoryName): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`
    select cast(
      (select coalesce(sum(size), 0) from manifests where repository = ${name})
      + (select coalesce(sum(size), 0) from deleted_manifests where repository = ${name})
    as bigint) as bytes
  `.execute(db)
  return rows[0]?.bytes ?? 0
}

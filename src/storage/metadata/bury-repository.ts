import { sql, type Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { Requester } from '../requester.ts'
import { buryAll } from './bury.ts'
import { endUploads } from './end-uploads.ts'
import { parseRequester } from './event-row.ts'
import type { EventWriter } from './event-writer.ts'
import type { KeepTimes } from './keep-times.ts'
import { deletionEvents } from './manifest-events.ts'
import type { MovedContents } from './repository-records.ts'
import { type LockedRepository, lockRepositoryRow, unknownRepository } from './repository-rows.ts'
import type { Schema } from './schema.ts'
import { assertMutable } from './tag-rules.ts'
import type { UsageWriter } from './usage-writer.ts'

export interface BuryParts {
  readonly events: EventWriter
  readonly usage: UsageWriter
  readonly times: KeepTimes
}

/** Manifests that one transaction puts away: others who write wait meanwhile. */
const manifestsAtOnce = 200

/**
 * From here on nobody sees the repository, and what is in it, which it answers, waits for {@link buryBatch}.
 * @throws DomainError as {@link RepositoryChangeRecords.deleteRepository}.
 */
export async function hideRepository(
  db: Transaction<Schema>,
  { usage }: BuryParts,
  name: RepositoryName,
  {
    isForced,
    by,
    now,
  }: { readonly isForced: boolean; readonly by: Requester | undefined; readonly now: number },
): Promise<MovedContents> {
  const row = await lockRepositoryRow(db, name)
  const contents = await contentsOf(db, name)
  if (row?.moving === 'bury') return contents
  if (row === undefined || row.deleted_at !== null) throw unknownRepository(name)
  if (!isForced) await assertAllMutable(db, name)
  await endUploads(db, name, now)
  await db.deleteFrom('upstream_tags').where('repository', '=', name).execute()
  await db
    .updateTable('repositories')
    .set({
      deleted_at: await momentOfItsOwn(db, name, now),
      moving: 'bury',
      requester: by === undefined ? null : JSON.stringify(by),
      // Also one without manifests goes some day.
      review_at: now,
    })
    .where('name', '=', name)
    .execute()
  await usage.write(db, name, { repositories: -1 })
  return contents
}

/** What its tags lost before is not what they lose now: so it is known what comes back with the repository. */
async function momentOfItsOwn(db: Transaction<Schema>, name: RepositoryName, now: number): Promise<number> {
  const { last } = await db
    .selectFrom('tag_history')
    .select(row => row.fn.max('at').as('last'))
    .where('at', '>=', now)
    .where('repository', '=', name)
    .where('cause', '=', 'delete')
    .executeTakeFirstOrThrow()
  return last === null ? now : last + 1
}

export async function contentsOf(db: Transaction<Schema>, name: RepositoryName): Promise<MovedContents> {
  const { rows } = await sql<MovedContents>`
    select
      (select count(*) from manifests where repository = ${name}) as manifests,
      (select count(*) from tags where repository = ${name}) as tags
  `.execute(db)
  const [{ manifests, tags } = { manifests: 0, tags: 0 }] = rows
  return { manifests, tags }
}

/** Puts some of a hidden repository's manifests away. Answers whether there is more. */
export async function buryBatch(
  db: Transaction<Schema>,
  { events, times }: BuryParts,
  name: RepositoryName,
): Promise<boolean> {
  const row = await lockRepositoryRow(db, name)
  if (row?.moving !== 'bury' || row.deleted_at === null) return false
  const by = requesterOf(row)
  const digests = await nextManifests(db, name)
  if (digests.length === 0) {
    await db.updateTable('repositories').set({ moving: null }).where('name', '=', name).execute()
    return false
  }
  const burial = { at: row.deleted_at, account: by?.account ?? null }
  const buried = await buryAll(db, name, digests, burial, times)
  const occasion = { at: new Date(row.deleted_at), by }
  await events.write(
    db,
    buried.flatMap(each => deletionEvents(name, each, each.tags, occasion)),
  )
  return true
}

/** Who asked for what is under way, or for the last deletion. */
export function requesterOf({ requester }: Pick<LockedRepository, 'requester'>): Requester | undefined {
  return requester === null ? undefined : parseRequester(requester)
}

/** @throws DomainError `conflict`. */
export async function assertAllMutable(db: Transaction<Schema>, name: RepositoryName): Promise<void> {
  await assertMutable(db, name, () => tagsOf(db, name))
}

async function tagsOf(db: Transaction<Schema>, name: RepositoryName): Promise<Tag[]> {
  const rows = await db
    .selectFrom('tags')
    .select('name')
    .where('repository', '=', name)
    .orderBy('name')
    .execute()
  return rows.map(row => row.name)
}

async function nextManifests(db: Transaction<Schema>, name: RepositoryName): Promise<Digest[]> {
  const rows = await db
    .selectFrom('manifests')
    .select('digest')
    .where('repository', '=', name)
    .orderBy('digest')
    .limit(manifestsAtOnce)
    .execute()
  return rows.map(({ digest }) => digest)
}

import { type Kysely, sql, type Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import { batches } from './batches.ts'
import type { HistoryPage, TagCause } from './history-records.ts'
import type { Schema } from './schema.ts'

/** How a transaction has changed what a tag names; null: it was, or is, not there. */
export interface TagMove {
  readonly tag: Tag
  readonly digest: Digest | null
  readonly previous: Digest | null
}

export interface TagOccasion {
  readonly cause: TagCause
  /** Milliseconds since 1970. */
  readonly at: number
  readonly account: string | null
}

/** For a transaction that holds the repository's lock. A tag that names what it named before has no history of that. */
export async function recordTagChanges(
  db: Transaction<Schema>,
  repository: RepositoryName,
  moves: readonly TagMove[],
  occasion: TagOccasion,
): Promise<void> {
  const rows = moves
    .filter(({ digest, previous }) => digest !== previous)
    .map(move => ({ repository, ...move, ...occasion }))
  for (const batch of batches(rows)) await db.insertInto('tag_history').values(batch).execute()
}

/** Newest first. */
export function selectTagHistory(
  db: Kysely<Schema>,
  repository: RepositoryName,
  tag: Tag,
  { limit, before }: HistoryPage,
) {
  return db
    .selectFrom('tag_history')
    .selectAll()
    .where('repository', '=', repository)
    .where('tag', '=', tag)
    .$if(before !== undefined, rows => rows.where('serial', '<', before ?? 0))
    .orderBy('serial', 'desc')
    .limit(limit)
    .execute()
}

/** Whether the tag ever named the digest, as far as that is remembered. */
export async function everNamed(
  db: Kysely<Schema>,
  repository: RepositoryName,
  tag: Tag,
  digest: Digest,
): Promise<boolean> {
  const row = await db
    .selectFrom('tag_history')
    .select('serial')
    .where('repository', '=', repository)
    .where('tag', '=', tag)
    .where(change => change.or([change('digest', '=', digest), change('previous', '=', digest)]))
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** As {@link HistoryRecords.forgetTagHistory}. */
export async function forgetTagHistory(
  db: Transaction<Schema>,
  before: number,
  limit: number,
): Promise<number> {
  const { rows } = await sql<{ serial: number }>`
    delete from tag_history where serial in (
      select serial from tag_history as change
        where at < ${before}
          and not (digest is null and exists (
            select 1 from deleted_manifests as deleted
              where deleted.repository = change.repository and deleted.digest = change.previous
                and deleted.deleted_at = change.at
          ))
        order by at
        limit ${limit}
    ) returning serial
  `.execute(db)
  return rows.length
}

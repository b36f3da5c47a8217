import { type Kysely, sql } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import { batches } from './batches.ts'
import { lostBelow } from './coming-back.ts'
import type { DeletedManifest, DeletedPage } from './history-records.ts'
import type { DeletedManifestRow } from './rows/life-cycle.ts'
import type { Schema } from './schema.ts'

type Row = Pick<
  DeletedManifestRow,
  'digest' | 'media_type' | 'size' | 'deleted_at' | 'deleted_by' | 'goes_at'
>

/** As {@link HistoryRecords.listDeletedManifests}. */
export async function selectDeletedManifests(
  db: Kysely<Schema>,
  repository: RepositoryName,
  { limit, after }: DeletedPage,
): Promise<DeletedManifest[]> {
  const rows: Row[] = await db
    .selectFrom('deleted_manifests')
    .select(['digest', 'media_type', 'size', 'deleted_at', 'deleted_by', 'goes_at'])
    .where('repository', '=', repository)
    .$if(after !== undefined, deleted =>
      deleted.where(sql<boolean>`(deleted_at, digest) < (${after?.deletedAt ?? 0}, ${after?.digest ?? ''})`),
    )
    .orderBy('deleted_at', 'desc')
    .orderBy('digest', 'desc')
    .limit(limit)
    .execute()
  const digests = rows.map(({ digest }) => digest)
  const tags = await tagsLostWith(db, repository, rows)
  const lost = await lostBelow(db, repository, digests)
  return rows.map(row => ({
    digest: row.digest,
    mediaType: row.media_type,
    size: row.size,
    deletedAt: new Date(row.deleted_at),
    deletedBy: row.deleted_by,
    goesAt: new Date(row.goes_at),
    tags: tags.get(row.digest) ?? [],
    isRestorable: !lost.has(row.digest),
  }))
}

/** The tags that were deleted in the same moment, with what they named. */
async function tagsLostWith(
  db: Kysely<Schema>,
  repository: RepositoryName,
  rows: readonly Row[],
): Promise<Map<Digest, Tag[]>> {
  const times = new Map(rows.map(({ digest, deleted_at }) => [digest, deleted_at]))
  const lost = new Map<Digest, Tag[]>()
  for (const batch of batches(rows)) {
    const changes = await db
      .selectFrom('tag_history')
      .select(['tag', 'previous', 'at'])
      // Not as a column: SQLite would go through all history of the repository, and not to those moments.
      .where(sql<boolean>`repository || '' = ${repository}`)
      .where('digest', 'is', null)
      .where(
        'at',
        'in',
        batch.map(({ deleted_at }) => deleted_at),
      )
      .execute()
    for (const { tag, previous, at } of changes.sort((a, b) => (a.tag < b.tag ? -1 : 1)))
      if (previous !== null && times.get(previous) === at)
        lost.set(previous, [...(lost.get(previous) ?? []), tag])
  }
  return lost
}

import { sql, type Transaction } from 'kysely'
import { dayMs } from '../durations.ts'
import type { LinkWriter } from './link-writer.ts'
import type { CollectStateRow } from './rows/life-cycle.ts'
import type { Schema } from './schema.ts'

type Place = Pick<CollectStateRow, 'forgotten_among' | 'forgotten_repository' | 'forgotten_digest'>

const nowhere: Place = { forgotten_among: null, forgotten_repository: null, forgotten_digest: null }

/** As {@link CollectRecords.enqueueForgotten}. */
export async function enqueueForgotten(
  db: Transaction<Schema>,
  { links, now, limit }: { readonly links: LinkWriter; readonly now: number; readonly limit: number },
): Promise<boolean> {
  const state = await db
    .selectFrom('collect_state')
    .select(['forgotten_at', 'forgotten_among', 'forgotten_repository', 'forgotten_digest'])
    .executeTakeFirstOrThrow()
  const isAmid = state.forgotten_among !== null
  if (!isAmid && state.forgotten_at > now) return false
  const place =
    state.forgotten_among === 'blobs'
      ? await amongBlobs(db, links, state, limit)
      : await amongLinks(db, links, state, limit)
  // At last, as everything that is written to this row.
  await db
    .updateTable('collect_state')
    .set({ ...place, ...(place.forgotten_among === null ? { forgotten_at: now + dayMs } : {}) })
    .execute()
  return place.forgotten_among !== null
}

/** A link that is brought into the queue although it is named, by a manifest that is put meanwhile, comes out of it. */
async function amongLinks(
  db: Transaction<Schema>,
  links: LinkWriter,
  { forgotten_repository: repository, forgotten_digest: digest }: Place,
  limit: number,
): Promise<Place> {
  const after = { repository: repository ?? '', digest: digest ?? '' }
  const rows = await db
    .selectFrom('blob_links')
    .select(['repository', 'digest'])
    .where(sql<boolean>`(repository, digest) > (${after.repository}, ${after.digest})`)
    .orderBy('repository')
    .orderBy('digest')
    .limit(limit)
    .execute()
  const last = rows.at(-1)
  if (last !== undefined) await links.enqueueForgotten(db, after, last)
  return last === undefined || rows.length < limit
    ? { ...nowhere, forgotten_among: 'blobs' }
    : { forgotten_among: 'links', forgotten_repository: last.repository, forgotten_digest: last.digest }
}

async function amongBlobs(
  db: Transaction<Schema>,
  links: LinkWriter,
  { forgotten_digest: after }: Place,
  limit: number,
): Promise<Place> {
  const rows = await db
    .selectFrom('blobs')
    .select(blob => [
      'digest',
      blob
        .exists(
          blob
            .selectFrom('blob_links')
            .select('blob_links.repository')
            .whereRef('blob_links.digest', '=', 'blobs.digest'),
        )
        .as('is_linked'),
    ])
    .where(sql<boolean>`digest > ${after ?? ''}`)
    .orderBy('digest')
    .limit(limit)
    .execute()
  const forgotten = rows.filter(row => !row.is_linked).map(row => row.digest)
  if (forgotten.length > 0) await links.takeUnlinked(db, forgotten)
  const last = rows.at(-1)
  return last === undefined || rows.length < limit
    ? nowhere
    : { ...nowhere, forgotten_among: 'blobs', forgotten_digest: last.digest }
}

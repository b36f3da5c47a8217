import type { Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { lookWhenUnburied } from './buried-links.ts'
import type { LinkReview } from './collect-records.ts'
import { addTotals } from './collect-totals.ts'
import { namedByDeleted } from './deleted-references.ts'
import { firstLookAt, type KeepTimes } from './keep-times.ts'
import type { LinkWriter } from './link-writer.ts'
import { lockRepositoryRow } from './repository-rows.ts'
import type { Schema } from './schema.ts'

type Outcome = Omit<LinkReview, 'seen'>

export interface LinkReviewParts {
  readonly links: LinkWriter
  readonly times: KeepTimes
}

const nothing: Outcome = { links: 0, blobs: 0, bytes: 0 }

/**
 * Looks at links of one repository. Under its lock no manifest comes or goes; what others are told meanwhile is seen
 * in the statement that takes a link away.
 */
export async function reviewLinksOf(
  db: Transaction<Schema>,
  { links, times }: LinkReviewParts,
  repository: RepositoryName,
  digests: readonly Digest[],
  now: number,
): Promise<Outcome> {
  if ((await lockRepositoryRow(db, repository)) === undefined) return nothing
  const due = await db
    .selectFrom('blob_links')
    .select(['digest', 'kept_until'])
    .where('repository', '=', repository)
    .where('digest', 'in', digests)
    .where('review_at', '<=', now)
    .execute()
  if (due.length === 0) return nothing
  const names = due.map(({ digest }) => digest)
  const named = await namedIn(db, repository, names)
  const unnamed = due.filter(({ digest }) => !named.has(digest))
  const kept = await namedByDeleted(
    db,
    repository,
    unnamed.map(({ digest }) => digest),
  )
  const free = unnamed.filter(({ digest }) => !kept.has(digest))
  const late = free.filter(({ kept_until }) => kept_until <= now).map(({ digest }) => digest)
  const taken = await links.takeAway(db, repository, late, { isLate: true })
  const gone = new Set(taken.map(({ digest }) => digest))
  await lookNoMore(db, repository, [...named])
  await lookLater(
    db,
    repository,
    free.map(({ digest }) => digest).filter(digest => !gone.has(digest)),
  )
  await lookWhenUnburied(db, repository, [...kept], firstLookAt(now, times))
  const last = taken.filter(({ isLast }) => isLast)
  const bytes = last.reduce((sum, { size }) => sum + size, 0)
  await addTotals(db, { links: taken.length, blobs: last.length })
  return { links: taken.length, blobs: last.length, bytes }
}

async function namedIn(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): Promise<Set<Digest>> {
  const rows = await db
    .selectFrom('manifest_references')
    .select('digest')
    .distinct()
    .where('repository', '=', repository)
    .where('digest', 'in', digests)
    .execute()
  return new Set(rows.map(({ digest }) => digest))
}

async function lookNoMore(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): Promise<void> {
  if (digests.length === 0) return
  await db
    .updateTable('blob_links')
    .set({ review_at: null })
    .where('repository', '=', repository)
    .where('digest', 'in', digests)
    .execute()
}

async function lookLater(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): Promise<void> {
  if (digests.length === 0) return
  await db
    .updateTable('blob_links')
    .set(row => ({ review_at: row.ref('kept_until') }))
    .where('repository', '=', repository)
    .where('digest', 'in', digests)
    .execute()
}

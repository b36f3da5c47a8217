import { type Kysely, sql, type Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import type { ManifestPolicy } from './collect-records.ts'
import { addTotals } from './collect-totals.ts'
import { deletedAmong } from './deleted-references.ts'
import type { EventWriter } from './event-writer.ts'
import type { KeepTimes } from './keep-times.ts'
import { deletionEvents } from './manifest-events.ts'
import { type ManifestFacts, fateOf, waitOfDropped, waitOfUntagged } from './manifest-fate.ts'
import type { Releases } from './releases.ts'
import { lockRepositoryRow } from './repository-rows.ts'
import type { ManifestRow } from './rows/content.ts'
import type { Flag } from './rows/flag.ts'
import type { Schema } from './schema.ts'
import type { UsageWriter } from './usage-writer.ts'

export interface ManifestReviewParts {
  readonly events: EventWriter
  readonly usage: UsageWriter
  readonly releases: Releases
  readonly times: KeepTimes
}

type DueRow = Pick<
  ManifestRow,
  'digest' | 'media_type' | 'size' | 'subject' | 'released_at' | 'lost_subject'
> & {
  readonly dropped: Flag
}

/** Looks at manifests of one repository, under its lock. Answers how many went. */
export async function reviewManifestsOf(
  db: Transaction<Schema>,
  parts: ManifestReviewParts,
  {
    repository,
    digests,
    policy,
  }: { repository: RepositoryName; digests: readonly Digest[]; policy: ManifestPolicy },
  now: number,
): Promise<number> {
  if ((await lockRepositoryRow(db, repository)) === undefined) return 0
  // Those who ask for one at this moment wait for its row, and hear what has become of it.
  const due = await db
    .selectFrom('manifests')
    .select(['digest', 'media_type', 'size', 'subject', 'released_at', 'lost_subject', 'dropped'])
    .where('repository', '=', repository)
    .where('digest', 'in', digests)
    .where('review_at', '<=', now)
    .orderBy('digest')
    .forUpdate()
    .execute()
  if (due.length === 0) return 0
  const facts = await factsOf(db, repository, due)
  const gone: DueRow[] = []
  for (const row of due) {
    const known = facts.get(row.digest)
    if (known === undefined) continue
    const fate = fateOf(known, policy, parts.times, now)
    if (fate.kind === 'delete') gone.push(row)
    else await lookAgain(db, repository, row, { at: fate.kind === 'wait' ? fate.until : null, known })
  }
  // At last, because it brings what they named back into the queue.
  for (const row of gone) await deleteManifest(db, parts, repository, row, { policy, now })
  await addTotals(db, { manifests: gone.length })
  return gone.length
}

async function factsOf(
  db: Transaction<Schema>,
  repository: RepositoryName,
  due: readonly DueRow[],
): Promise<Map<Digest, ManifestFacts>> {
  const digests = due.map(({ digest }) => digest)
  const named = await db
    .selectFrom('tags')
    .select('digest')
    .where('repository', '=', repository)
    .where('digest', 'in', digests)
    .union(
      db
        .selectFrom('manifest_references')
        .select('digest')
        .where('repository', '=', repository)
        .where('digest', 'in', digests)
        .where('role', '=', 'child'),
    )
    .union(
      db
        .selectFrom('deleted_references')
        .select('digest')
        .where('repository', '=', repository)
        .where('digest', 'in', digests),
    )
    .execute()
  const subjects = due.flatMap(({ subject }) => subject ?? [])
  const deleted = await deletedAmong(db, repository, subjects)
  const present =
    subjects.length === 0
      ? []
      : await db
          .selectFrom('manifests')
          .select('digest')
          .where('repository', '=', repository)
          .where('digest', 'in', subjects)
          .execute()
  const isNamed = new Set(named.map(({ digest }) => digest))
  const isPresent = new Set(present.map(({ digest }) => digest))
  return new Map(
    due.map(({ digest, subject, released_at: releasedAt, lost_subject, dropped }) => {
      const state =
        subject === null
          ? null
          : isPresent.has(subject)
            ? 'present'
            : lost_subject === 1
              ? 'deleted'
              : 'absent'
      // It comes back with its subject, and is kept for that.
      const isKept = state === 'deleted' && subject !== null && deleted.has(subject)
      return [
        digest,
        { isNamed: isNamed.has(digest) || isKept, subject: state, releasedAt, isDropped: dropped === 1 },
      ]
    }),
  )
}

async function lookAgain(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { digest, lost_subject, dropped }: DueRow,
  { at, known }: { readonly at: number | null; readonly known: ManifestFacts },
): Promise<void> {
  // What was dropped may be in use again; what only a deleted index names is not.
  const isUsed = dropped === 1 && known.isNamed && (await isInUse(db, repository, digest))
  await db
    .updateTable('manifests')
    .set({
      review_at: at,
      // Its subject may have come back.
      lost_subject: known.subject === 'present' ? 0 : lost_subject,
      dropped: isUsed ? 0 : dropped,
    })
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .execute()
}

/** Whether a tag or an index names it. */
async function isInUse(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digest: Digest,
): Promise<boolean> {
  const row = await db
    .selectFrom('tags')
    .select('digest')
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .union(
      db
        .selectFrom('manifest_references')
        .select('digest')
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .where('role', '=', 'child'),
    )
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

async function deleteManifest(
  db: Transaction<Schema>,
  { events, usage, releases, times }: ManifestReviewParts,
  repository: RepositoryName,
  { digest, media_type: mediaType, size, dropped }: DueRow,
  { policy, now }: { readonly policy: ManifestPolicy; readonly now: number },
): Promise<void> {
  // Its children have been without a tag as long as it has: they have the grace before them, and not all of it again.
  const waitMs = (dropped === 1 ? undefined : waitOfUntagged(policy, times)) ?? waitOfDropped(times)
  const children = dropped === 1 ? await childrenOf(db, repository, digest) : []
  await releases.deleted(db, repository, digest, now - waitMs + times.graceMs)
  await db.deleteFrom('manifests').where('repository', '=', repository).where('digest', '=', digest).execute()
  await releases.dropChildren(db, repository, children)
  await usage.write(db, repository, { bytes: -size })
  const occasion = { at: new Date(now), by: undefined }
  await events.write(db, deletionEvents(repository, { digest, mediaType, size }, [], occasion))
}

async function childrenOf(
  db: Transaction<Schema>,
  repository: RepositoryName,
  manifest: Digest,
): Promise<Digest[]> {
  const rows = await db
    .selectFrom('manifest_references')
    .select('digest')
    .distinct()
    .where('repository', '=', repository)
    .where('manifest', '=', manifest)
    .where('role', '=', 'child')
    .execute()
  return rows.map(({ digest }) => digest)
}

/** Brings what nothing names into the queue, in repositories after this one. Answers the last that was looked at. */
export async function enqueueUntaggedAfter(
  db: Transaction<Schema>,
  after: RepositoryName | null,
  limit: number,
  now: number,
): Promise<RepositoryName | undefined> {
  const names = await repositoriesAfter(db, after ?? '', limit)
  for (const name of names) {
    await lockRepositoryRow(db, name)
    await sql`
      update manifests set review_at = ${now}, released_at = ${now}
        where repository = ${name} and review_at is null
          and not exists (select 1 from tags
            where tags.repository = manifests.repository and tags.digest = manifests.digest)
          and not exists (select 1 from manifest_references as reference
            where reference.repository = manifests.repository and reference.digest = manifests.digest
              and reference.role = 'child')`.execute(db)
  }
  return names.length < limit ? undefined : names.at(-1)
}

async function repositoriesAfter(
  db: Kysely<Schema>,
  after: string,
  limit: number,
): Promise<RepositoryName[]> {
  const rows = await db
    .selectFrom('repositories')
    .select('name')
    .where(sql<boolean>`name > ${after}`)
    .orderBy('name')
    .limit(limit)
    .execute()
  return rows.map(({ name }) => name)
}

import { sql, type Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import { batches } from './batches.ts'
import { holdBuriedLinks } from './buried-links.ts'
import { copyReferences } from './deleted-references.ts'
import { firstLookAt, type KeepTimes } from './keep-times.ts'
import type { ManifestInfo } from './manifest-records.ts'
import type { TagRow } from './rows/content.ts'
import type { Schema } from './schema.ts'
import { recordTagChanges } from './tag-history.ts'

export interface Burial {
  /** Milliseconds since 1970; the same for all that is deleted together. */
  readonly at: number
  readonly account: string | null
}

export interface BuriedManifest extends ManifestInfo {
  /** That named it, in byte order. */
  readonly tags: Tag[]
}

/**
 * For a transaction that holds the repository's lock: deletes a manifest and its tags so that it can be taken back, and
 * writes down what its tags named. It goes on to keep what it names, and counts as before. Undefined when it is not there.
 */
export async function bury(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digest: Digest,
  burial: Burial,
  times: KeepTimes,
): Promise<BuriedManifest | undefined> {
  const [buried] = await buryAll(db, repository, [digest], burial, times)
  return buried
}

/** As {@link bury}, for as many as one statement has room for. Answers those that were there. */
export async function buryAll(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
  { at, account }: Burial,
  times: KeepTimes,
): Promise<BuriedManifest[]> {
  const goesAt = at + times.undeleteMs
  // A replica of an older version, which pushes it again, leaves it among the deleted.
  const { rows } = await sql<ManifestInfo>`
    insert into deleted_manifests
      (repository, digest, media_type, size, bytes, subject, created_at, deleted_at, deleted_by, goes_at)
      select repository, digest, media_type, size, bytes, subject, created_at,
          cast(${at} as bigint), cast(${account} as text), cast(${goesAt} as bigint)
        from manifests where repository = ${repository} and digest in (${sql.join(digests)})
      on conflict (repository, digest) do update set
        deleted_at = excluded.deleted_at, deleted_by = excluded.deleted_by, goes_at = excluded.goes_at
      returning digest, media_type as "mediaType", size
  `.execute(db)
  if (rows.length === 0) return []
  await copyReferences(db, repository, digests)
  await holdBuriedLinks(db, repository, digests, { at, goesAt }, times)
  await keepAsLong(db, repository, digests, goesAt)
  const tags = await takeTagsOff(db, repository, digests)
  await recordTagChanges(
    db,
    repository,
    tags.map(({ name, digest }) => ({ tag: name, digest: null, previous: digest })),
    { cause: 'delete', at, account },
  )
  await db
    .deleteFrom('manifests')
    .where('repository', '=', repository)
    .where('digest', 'in', digests)
    .execute()
  await loseSubjects(db, repository, digests, { released_at: at, review_at: firstLookAt(at, times) })
  const byDigest = Map.groupBy(tags, ({ digest }) => digest)
  const tagsOf = (digest: Digest): Tag[] => (byDigest.get(digest) ?? []).map(({ name }) => name)
  return rows.map(({ digest, mediaType, size }) => ({ digest, mediaType, size, tags: tagsOf(digest) }))
}

/**
 * For a transaction that has put the manifest, which is new: it need not be taken back any more. Answers whether it could
 * have been, and so has gone on counting.
 */
export async function forgetBurial(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digest: Digest,
): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('deleted_manifests')
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .executeTakeFirstOrThrow()
  return numDeletedRows > 0n
}

/**
 * What was deleted before and belongs to what is deleted now goes no earlier. Level by level: for one statement with
 * recursion SQLite goes through all that was ever deleted in the repository.
 */
async function keepAsLong(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
  goesAt: number,
): Promise<void> {
  for (let level = digests; level.length > 0; ) {
    const next: Digest[] = []
    for (const batch of batches(level)) {
      const { rows } = await sql<{ digest: Digest }>`
        update deleted_manifests set goes_at = ${goesAt}
          where repository = ${repository} and goes_at < ${goesAt} and digest in (
            select digest from deleted_references
              where repository = ${repository} and manifest in (${sql.join(batch)}))
          returning digest
      `.execute(db)
      next.push(...rows.map(({ digest }) => digest))
    }
    level = next
  }
}

/** Takes all tags off these manifests. Answers them in byte order. */
export async function takeTagsOff(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): Promise<Pick<TagRow, 'name' | 'digest'>[]> {
  const tags = await db
    .deleteFrom('tags')
    .where('repository', '=', repository)
    .where('digest', 'in', digests)
    .returning(['name', 'digest'])
    .execute()
  return tags.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Referrers that stay are without them from now on. They stay as long as their subject can be taken back. */
async function loseSubjects(
  db: Transaction<Schema>,
  repository: RepositoryName,
  subjects: readonly Digest[],
  columns: { readonly released_at: number; readonly review_at: number },
): Promise<void> {
  await db
    .updateTable('manifests')
    .set({ ...columns, lost_subject: 1 })
    .where('repository', '=', repository)
    .where('subject', 'in', subjects)
    .execute()
}

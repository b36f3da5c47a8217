import { sql, type Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import type { KeepTimes } from './keep-times.ts'
import type { Schema } from './schema.ts'

/**
 * Links of blobs that deleted manifests name. They stay until none of those can be taken back, and until the grace is
 * over that began with the deletion. Both times run side by side: from the deletion on the links are in the queue, so
 * that `kept_until` has every later promise as well, and decides alone when nothing names them any more.
 */

/** For a transaction that has just buried these manifests and holds the repository's lock. Times are milliseconds since 1970. */
export async function holdBuriedLinks(
  db: Transaction<Schema>,
  repository: RepositoryName,
  manifests: readonly Digest[],
  { at, goesAt }: { readonly at: number; readonly goesAt: number },
  { graceMs }: KeepTimes,
): Promise<void> {
  const until = at + graceMs
  // Nothing was written down for those that were told of it while a manifest named it.
  await sql`
    update blob_links set review_at = ${goesAt},
        kept_until = case when kept_until > ${until} then kept_until else ${until} end
      where repository = ${repository} and digest in (
        select digest from deleted_references
          where repository = ${repository} and manifest in (${sql.join(manifests)}))
  `.execute(db)
}

/**
 * For a transaction that lets a deleted manifest go and holds the repository's lock: what it names is looked at when it
 * is promised to nobody any more. A link that is in no queue may have been promised to anybody.
 */
export async function releaseBuriedLinks(
  db: Transaction<Schema>,
  repository: RepositoryName,
  manifest: Digest,
  until: number,
): Promise<void> {
  await sql`
    update blob_links set review_at = case when review_at is null then ${until} else kept_until end,
        kept_until = case when review_at is null then ${until} else kept_until end
      where repository = ${repository} and digest in (
        select digest from deleted_references where repository = ${repository} and manifest = ${manifest})
  `.execute(db)
}

/**
 * Links that only deleted manifests name stay in the queue, so that promises are written down. Whatever lets them go looks
 * at them then; until that is known, nobody has to before the last of those can go.
 */
export async function lookWhenUnburied(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
  earliest: number,
): Promise<void> {
  if (digests.length === 0) return
  // No join: SQLite may begin it with all deleted manifests of the repository, for each link anew.
  const last = sql`(
    select max((select goes_at from deleted_manifests as deleted
        where deleted.repository = reference.repository and deleted.digest = reference.manifest))
      from deleted_references as reference
      where reference.repository = blob_links.repository and reference.digest = blob_links.digest)`
  await sql`
    update blob_links set review_at = case when ${last} > ${earliest} then ${last} else ${earliest} end
      where repository = ${repository} and digest in (${sql.join(digests)})
  `.execute(db)
}

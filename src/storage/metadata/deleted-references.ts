import { type Kysely, sql, type Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { batches } from './batches.ts'
import type { Schema } from './schema.ts'

/** Which of these a manifest names that was deleted and can be taken back. */
export async function namedByDeleted(
  db: Kysely<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): Promise<Set<Digest>> {
  const named = new Set<Digest>()
  for (const batch of batches(digests)) {
    const rows = await db
      .selectFrom('deleted_references')
      .select('digest')
      .distinct()
      .where('repository', '=', repository)
      .where('digest', 'in', batch)
      .execute()
    for (const { digest } of rows) named.add(digest)
  }
  return named
}

/** Which of these were deleted and can be taken back, whole or not. */
export async function deletedAmong(
  db: Kysely<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): Promise<Set<Digest>> {
  const deleted = new Set<Digest>()
  for (const batch of batches(digests)) {
    const rows = await db
      .selectFrom('deleted_manifests')
      .select('digest')
      .where('repository', '=', repository)
      .where('digest', 'in', batch)
      .execute()
    for (const { digest } of rows) deleted.add(digest)
  }
  return deleted
}

/**
 * For a transaction that is about to delete these manifests and holds the repository's lock: writes down what of the
 * repository they name.
 */
export async function copyReferences(
  db: Transaction<Schema>,
  repository: RepositoryName,
  manifests: readonly Digest[],
): Promise<void> {
  await sql`
    insert into deleted_references (repository, manifest, digest)
      select distinct repository, manifest, digest from manifest_references as reference
        where repository = ${repository} and manifest in (${sql.join(manifests)}) and role <> 'subject'
          and ${isThere('reference.digest', repository)}
      on conflict do nothing
  `.execute(db)
}

/** What the repository does not have any more of what these deleted manifests name. */
export async function lostBy(
  db: Kysely<Schema>,
  repository: RepositoryName,
  manifests: readonly Digest[],
): Promise<{ readonly manifest: Digest; readonly digest: Digest }[]> {
  const lost: { manifest: Digest; digest: Digest }[] = []
  for (const batch of batches(manifests)) {
    const { rows } = await sql<{ manifest: Digest; digest: Digest }>`
      select reference.manifest, reference.digest from deleted_references as reference
        where reference.repository = ${repository} and reference.manifest in (${sql.join(batch)})
          and not ${isThere('reference.digest', repository)}
    `.execute(db)
    lost.push(...rows)
  }
  // Not by the database: for rows in order SQLite goes through all that deleted manifests of the repository name.
  return lost.sort((a, b) => (a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0))
}

/** As a link, as a manifest, or as one that can be taken back. */
function isThere(digest: string, repository: RepositoryName) {
  const at = sql.ref(digest)
  return sql<boolean>`(
    exists (select 1 from blob_links where repository = ${repository} and blob_links.digest = ${at})
    or exists (select 1 from manifests where repository = ${repository} and manifests.digest = ${at})
    or exists (select 1 from deleted_manifests as deleted
      where repository = ${repository} and deleted.digest = ${at})
  )`
}

import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { batches } from './batches.ts'
import { deletedAmong, namedByDeleted } from './deleted-references.ts'
import { type ForgetParts, forgetDeleted } from './forget-deleted.ts'
import type { TakenBlob } from './link-writer.ts'
import type { Schema } from './schema.ts'

/**
 * For a transaction that holds the repository's lock: a deleted manifest goes at once, with the manifests of an index that
 * were deleted as well, and the repository lets go of the blobs that nothing else in it names. Answers those blobs.
 * @throws DomainError `not_found` when it is not among the deleted; `conflict` while another one of them names it.
 */
export async function purgeDeleted(
  db: Transaction<Schema>,
  parts: ForgetParts,
  repository: RepositoryName,
  digest: Digest,
  now: number,
): Promise<TakenBlob[]> {
  await assertUnnamed(db, repository, digest)
  const released = new Set<Digest>()
  let level: Digest[] = [digest]
  while (level.length > 0) {
    const below = new Set<Digest>()
    for (const each of level) {
      for (const named of await referencesOf(db, repository, each)) below.add(named)
      await forgetOne(db, parts, repository, each, now)
    }
    for (const named of below) released.add(named)
    const deleted = await deletedAmong(db, repository, [...below])
    const named = await namedSomehow(db, repository, [...deleted])
    level = [...deleted].filter(each => !named.has(each))
  }
  const named = await namedSomehow(db, repository, [...released])
  return parts.links.takeAway(
    db,
    repository,
    [...released].filter(each => !named.has(each)),
  )
}

async function assertUnnamed(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digest: Digest,
): Promise<void> {
  const above = await db
    .selectFrom('deleted_references')
    .select('manifest')
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .executeTakeFirst()
  if (above === undefined) return
  throw new DomainError(
    'conflict',
    `The manifest ${digest} is part of ${above.manifest} in ${repository}, which can be taken back as well; purge that first.`,
    { resource: 'manifest', name: digest },
  )
}

async function referencesOf(
  db: Transaction<Schema>,
  repository: RepositoryName,
  manifest: Digest,
): Promise<Digest[]> {
  const rows = await db
    .selectFrom('deleted_references')
    .select('digest')
    .where('repository', '=', repository)
    .where('manifest', '=', manifest)
    .execute()
  return rows.map(({ digest }) => digest)
}

async function forgetOne(
  db: Transaction<Schema>,
  parts: ForgetParts,
  repository: RepositoryName,
  digest: Digest,
  now: number,
): Promise<void> {
  const row = await db
    .selectFrom('deleted_manifests')
    .select('size')
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .executeTakeFirst()
  if (row === undefined) throw notDeleted(repository, digest)
  await forgetDeleted(db, parts, { repository, digest, size: row.size }, now)
}

/** By a manifest that is there, or by one that can be taken back; a referrer does not keep its subject. */
async function namedSomehow(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): Promise<Set<Digest>> {
  const named = await namedByDeleted(db, repository, digests)
  for (const batch of batches(digests)) {
    const rows = await db
      .selectFrom('manifest_references')
      .select('digest')
      .distinct()
      .where('repository', '=', repository)
      .where('digest', 'in', batch)
      .where('role', '<>', 'subject')
      .execute()
    for (const { digest } of rows) named.add(digest)
  }
  return named
}

export function notDeleted(repository: RepositoryName, digest: Digest): DomainError {
  return new DomainError(
    'not_found',
    `The repository ${repository} has no deleted manifest ${digest} that could be taken back.`,
    { resource: 'manifest', name: digest },
  )
}

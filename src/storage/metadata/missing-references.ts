import type { Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { batches } from './batches.ts'
import type { NewManifest } from './manifest-records.ts'
import type { Schema } from './schema.ts'

/**
 * Targets of required edges that the repository has not. Children of an index are manifests, but build caches put
 * plain blobs there.
 */
export async function missingReferences(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { edges }: NewManifest,
): Promise<Digest[]> {
  const required = edges.filter(edge => edge.required)
  const missing = new Set(required.map(edge => edge.descriptor.digest))
  await removeWhole(db, repository, missing)
  const children = required.filter(edge => edge.role === 'child').map(edge => edge.descriptor.digest)
  await removeManifests(db, repository, missing, children)
  return [...missing]
}

/** Whoever pushes a manifest is asked for the blobs that are damaged as well, and has them most probably. */
async function removeWhole(
  db: Transaction<Schema>,
  repository: RepositoryName,
  missing: Set<Digest>,
): Promise<void> {
  for (const digests of batches([...missing])) {
    const whole = await db
      .selectFrom('blob_links')
      .select('digest')
      .where('repository', '=', repository)
      .where('digest', 'in', digests)
      .where(link =>
        link.not(
          link.exists(
            link
              .selectFrom('blob_faults')
              .select('blob_faults.digest')
              .whereRef('blob_faults.digest', '=', 'blob_links.digest'),
          ),
        ),
      )
      .execute()
    for (const { digest } of whole) missing.delete(digest)
  }
}

async function removeManifests(
  db: Transaction<Schema>,
  repository: RepositoryName,
  missing: Set<Digest>,
  candidates: readonly Digest[],
): Promise<void> {
  for (const digests of batches(candidates)) {
    const present = await db
      .selectFrom('manifests')
      .select('digest')
      .where('repository', '=', repository)
      .where('digest', 'in', digests)
      .execute()
    for (const { digest } of present) missing.delete(digest)
  }
}

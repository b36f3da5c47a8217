import type { Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { batches } from './batches.ts'
import type { NewManifest } from './metadata.ts'
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
  await removePresent(db, 'blob_links', repository, missing, [...missing])
  const children = required.filter(edge => edge.role === 'child').map(edge => edge.descriptor.digest)
  await removePresent(db, 'manifests', repository, missing, children)
  return [...missing]
}

async function removePresent(
  db: Transaction<Schema>,
  table: 'blob_links' | 'manifests',
  repository: RepositoryName,
  missing: Set<Digest>,
  candidates: readonly Digest[],
): Promise<void> {
  for (const digests of batches(candidates)) {
    const present = await db
      .selectFrom(table)
      .select('digest')
      .where('repository', '=', repository)
      .where('digest', 'in', digests)
      .execute()
    for (const { digest } of present) missing.delete(digest)
  }
}

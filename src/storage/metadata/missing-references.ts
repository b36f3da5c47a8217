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
  const digests = new Set(required.map(edge => edge.descriptor.digest))
  const missing = new Set(digests)
  await removePresent(db, 'blob_links', repository, missing, [...missing])
  await addQuarantined(
    db,
    missing,
    [...digests].filter(digest => !missing.has(digest)),
  )
  const children = required.filter(edge => edge.role === 'child').map(edge => edge.descriptor.digest)
  await removePresent(db, 'manifests', repository, missing, children)
  return [...missing]
}

/** Whoever pushes a manifest is asked for the blobs that are damaged, and has them most probably. */
async function addQuarantined(
  db: Transaction<Schema>,
  missing: Set<Digest>,
  linked: readonly Digest[],
): Promise<void> {
  for (const digests of batches(linked)) {
    const faults = await db
      .selectFrom('blob_faults')
      .select('digest')
      .where('digest', 'in', digests)
      .execute()
    for (const { digest } of faults) missing.add(digest)
  }
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

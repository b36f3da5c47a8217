import type { Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import { batches } from './batches.ts'
import type { NewManifest } from './manifest-records.ts'
import type { ManifestReferenceRow, ManifestRow, Schema } from './schema.ts'

/** Whether it was new. A manifest that is there already keeps the media type that it was first pushed with. */
export async function insertManifest(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { digest, mediaType, size, bytes, edges, artifactType, annotations }: NewManifest,
  times: Pick<ManifestRow, 'created_at' | 'review_at' | 'released_at'>,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('manifests')
    .values({
      repository,
      digest,
      media_type: mediaType,
      size,
      bytes,
      subject: edges.find(edge => edge.role === 'subject')?.descriptor.digest ?? null,
      artifact_type: artifactType ?? null,
      annotations: annotations === undefined ? null : JSON.stringify(annotations),
      ...times,
      lost_subject: 0,
    })
    .onConflict(conflict => conflict.columns(['repository', 'digest']).doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

export async function insertEdges(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { digest, edges }: NewManifest,
): Promise<void> {
  const rows = edges.map(
    ({ role, descriptor }, position): ManifestReferenceRow => ({
      repository,
      manifest: digest,
      position,
      role,
      digest: descriptor.digest,
      media_type: descriptor.mediaType,
      size: descriptor.size,
    }),
  )
  for (const batch of batches(rows)) await db.insertInto('manifest_references').values(batch).execute()
}

/** What each of the tags named before. */
export async function pointTags(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { digest, tags }: Pick<NewManifest, 'digest' | 'tags'>,
  now: number,
): Promise<Map<Tag, Digest | undefined>> {
  const before = new Map<Tag, Digest | undefined>()
  for (const name of new Set(tags)) {
    const { previous } = await db
      .insertInto('tags')
      .values({ repository, name, digest, previous: null, updated_at: now })
      .onConflict(conflict =>
        conflict
          .columns(['repository', 'name'])
          .doUpdateSet(row => ({ digest, previous: row.ref('tags.digest'), updated_at: now })),
      )
      .returning('previous')
      .executeTakeFirstOrThrow()
    before.set(name, previous ?? undefined)
  }
  return before
}

import type { Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import { batches } from './batches.ts'
import type { NewManifest } from './manifest-records.ts'
import type { ManifestReferenceRow, ManifestRow } from './rows/content.ts'
import type { Schema } from './schema.ts'

type ManifestTimes = Pick<ManifestRow, 'created_at' | 'review_at' | 'released_at'>

/** Whether it was new. A manifest that is there already keeps the media type that it was first pushed with. */
export async function insertManifest(
  db: Transaction<Schema>,
  repository: RepositoryName,
  manifest: NewManifest,
  times: ManifestTimes,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('manifests')
    .values(rowOf(repository, manifest, times))
    .onConflict(conflict => conflict.columns(['repository', 'digest']).doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

/** As many as one statement has room for. One that is there stays as it is. */
export async function insertManifests(
  db: Transaction<Schema>,
  repository: RepositoryName,
  manifests: readonly { readonly manifest: NewManifest; readonly times: ManifestTimes }[],
): Promise<void> {
  const rows = manifests.map(({ manifest, times }) => rowOf(repository, manifest, times))
  if (rows.length === 0) return
  await db
    .insertInto('manifests')
    .values(rows)
    .onConflict(conflict => conflict.columns(['repository', 'digest']).doNothing())
    .execute()
}

function rowOf(
  repository: RepositoryName,
  { digest, mediaType, size, bytes, edges, artifactType, annotations }: NewManifest,
  times: ManifestTimes,
) {
  return {
    repository,
    digest,
    media_type: mediaType,
    size,
    bytes,
    subject: edges.find(edge => edge.role === 'subject')?.descriptor.digest ?? null,
    artifact_type: artifactType ?? null,
    annotations: annotations === undefined ? null : JSON.stringify(annotations),
    ...times,
    lost_subject: 0 as const,
  }
}

/** Of manifests; those that are there stay as they are. */
export async function insertEdges(
  db: Transaction<Schema>,
  repository: RepositoryName,
  manifests: readonly Pick<NewManifest, 'digest' | 'edges'>[],
): Promise<void> {
  const rows = manifests.flatMap(({ digest, edges }) =>
    edges.map(
      ({ role, descriptor }, position): ManifestReferenceRow => ({
        repository,
        manifest: digest,
        position,
        role,
        digest: descriptor.digest,
        media_type: descriptor.mediaType,
        size: descriptor.size,
      }),
    ),
  )
  for (const batch of batches(rows))
    await db
      .insertInto('manifest_references')
      .values(batch)
      .onConflict(conflict => conflict.doNothing())
      .execute()
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

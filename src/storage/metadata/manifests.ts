import type { Kysely, Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import { formatReference, type Reference, type RepositoryName } from '../reference.ts'
import type { Database } from './database.ts'
import type { ManifestInfo, ManifestRecords, NewManifest, StoredManifest } from './metadata.ts'
import { ensureRepository } from './repositories.ts'
import type { ManifestReferenceRow, Schema } from './schema.ts'

/** Values of one statement; SQLite takes 32,766 and PostgreSQL 65,535 (sqlite.org/limits.html, item 9). */
const rowsPerStatement = 500

export class KyselyManifests implements ManifestRecords {
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
  }

  async putManifest(repository: RepositoryName, manifest: NewManifest, options?: Abortable): Promise<void> {
    await this.#database.write(options, async db => {
      const missing = await missingBlobs(db, repository, manifest)
      if (missing.length > 0)
        throw new DomainError(
          'missing_reference',
          `The manifest ${manifest.digest} names blobs that ${repository} does not have: ${missing.join(', ')}; push them first.`,
          { resource: 'manifest', name: manifest.digest, missing },
        )
      const now = this.#now()
      await ensureRepository(db, repository, now)
      if (await insertManifest(db, repository, manifest, now)) await insertEdges(db, repository, manifest)
      await pointTags(db, repository, manifest, now)
    })
  }

  async getManifest(
    repository: RepositoryName,
    reference: Reference,
    options?: Abortable,
  ): Promise<StoredManifest> {
    const row = await this.#database.read(options, db =>
      selectManifest(db, repository, reference).select('manifests.bytes').executeTakeFirst(),
    )
    if (row === undefined) throw unknownManifest(repository, formatReference(reference))
    return { digest: row.digest, mediaType: row.media_type, size: row.size, bytes: row.bytes }
  }

  async statManifest(
    repository: RepositoryName,
    reference: Reference,
    options?: Abortable,
  ): Promise<ManifestInfo> {
    const row = await this.#database.read(options, db =>
      selectManifest(db, repository, reference).executeTakeFirst(),
    )
    if (row === undefined) throw unknownManifest(repository, formatReference(reference))
    return { digest: row.digest, mediaType: row.media_type, size: row.size }
  }

  async deleteManifest(repository: RepositoryName, digest: Digest, options?: Abortable): Promise<void> {
    await this.#database.write(options, async db => {
      await db.deleteFrom('tags').where('repository', '=', repository).where('digest', '=', digest).execute()
      const { numDeletedRows } = await db
        .deleteFrom('manifests')
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .executeTakeFirstOrThrow()
      if (numDeletedRows === 0n) throw unknownManifest(repository, digest)
    })
  }
}

function selectManifest(db: Kysely<Schema>, repository: RepositoryName, reference: Reference) {
  const manifests = db
    .selectFrom('manifests')
    .select(['manifests.digest', 'manifests.media_type', 'manifests.size'])
    .where('manifests.repository', '=', repository)
  if (reference.kind === 'digest') return manifests.where('manifests.digest', '=', reference.digest)
  return manifests.where('manifests.digest', '=', tags =>
    tags
      .selectFrom('tags')
      .select('tags.digest')
      .where('tags.repository', '=', repository)
      .where('tags.name', '=', reference.tag),
  )
}

async function missingBlobs(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { edges }: NewManifest,
): Promise<Digest[]> {
  const required = new Set(edges.filter(edge => edge.required).map(edge => edge.descriptor.digest))
  for (const digests of batches([...required])) {
    const linked = await db
      .selectFrom('blob_links')
      .select('digest')
      .where('repository', '=', repository)
      .where('digest', 'in', digests)
      .execute()
    for (const { digest } of linked) required.delete(digest)
  }
  return [...required]
}

/** Whether it was new. A manifest that is there already keeps the media type that it was first pushed with. */
async function insertManifest(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { digest, mediaType, size, bytes, edges, artifactType, annotations }: NewManifest,
  now: number,
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
      created_at: now,
    })
    .onConflict(conflict => conflict.columns(['repository', 'digest']).doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

async function insertEdges(
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

async function pointTags(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { digest, tags }: NewManifest,
  now: number,
): Promise<void> {
  for (const name of tags)
    await db
      .insertInto('tags')
      .values({ repository, name, digest, updated_at: now })
      .onConflict(conflict =>
        conflict.columns(['repository', 'name']).doUpdateSet({ digest, updated_at: now }),
      )
      .execute()
}

function* batches<Item>(items: readonly Item[]): Generator<Item[]> {
  for (let start = 0; start < items.length; start += rowsPerStatement)
    yield items.slice(start, start + rowsPerStatement)
}

function unknownManifest(repository: RepositoryName, reference: string): DomainError {
  return new DomainError('not_found', `The repository ${repository} has no manifest ${reference}.`, {
    resource: 'manifest',
    name: reference,
  })
}

import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import { artifactTypeOf, edgesOf, parseManifest } from '../manifest.ts'
import type { RepositoryName } from '../reference.ts'
import { comingBackWith, lostBelow } from './coming-back.ts'
import { deletedAmong } from './deleted-references.ts'
import type { ManifestInfo, NewManifest } from './manifest-records.ts'
import { insertEdges, insertManifest } from './manifest-rows.ts'
import type { Releases } from './releases.ts'
import type { DeletedManifestRow, Schema } from './schema.ts'

export interface Exhumation {
  /** Milliseconds since 1970. */
  readonly now: number
  /** Whether the transaction sets a tag to it. */
  readonly isTagged: boolean
}

/**
 * For a transaction that holds the repository's lock: brings a deleted manifest back, and what comes back with it. Answers
 * all of them, that one first; none when it was not deleted.
 * @throws DomainError `missing_reference` when the repository has lost what one of them names.
 */
export async function exhume(
  db: Transaction<Schema>,
  releases: Releases,
  repository: RepositoryName,
  digest: Digest,
  { now, isTagged }: Exhumation,
): Promise<ManifestInfo[]> {
  const all = await comingBackWith(db, repository, digest)
  if (all.length === 0) return []
  await assertWhole(db, repository, digest)
  const restored: ManifestInfo[] = []
  for (const each of all) {
    const row = await takeRow(db, repository, each)
    if (row === undefined) continue
    const manifest = manifestOf(row)
    // Whatever else comes back is in an index of them, or has its subject.
    const release = releases.columnsOf({ isTagged: isTagged || each !== digest })
    await insertManifest(db, repository, manifest, {
      ...release,
      released_at: now,
      created_at: row.created_at,
    })
    await insertEdges(db, repository, manifest)
    restored.push({ digest: each, mediaType: row.media_type, size: row.size })
    await findSubject(db, repository, each)
    if (row.subject !== null) await missSubject(db, repository, row)
  }
  return restored
}

async function assertWhole(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digest: Digest,
): Promise<void> {
  const missing = (await lostBelow(db, repository, [digest])).get(digest)
  if (missing === undefined) return
  const first = missing[0] ?? digest
  const others = missing.length > 1 ? ` and ${missing.length - 1} more` : ''
  throw new DomainError(
    'missing_reference',
    `The manifest ${digest} cannot be brought back, because ${repository} has lost what it names: ${first}${others}; push the image again.`,
    { resource: 'manifest', name: digest, missing },
  )
}

async function takeRow(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digest: Digest,
): Promise<DeletedManifestRow | undefined> {
  return db
    .deleteFrom('deleted_manifests')
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .returningAll()
    .executeTakeFirst()
}

/** Nothing is required: what it had when it was deleted is there, which has been looked at. */
function manifestOf({ digest, media_type: mediaType, size, bytes }: DeletedManifestRow): NewManifest {
  const manifest = parseManifest(bytes, mediaType)
  return {
    digest,
    mediaType,
    size,
    bytes,
    edges: edgesOf(manifest, 'none'),
    artifactType: artifactTypeOf(manifest),
    annotations: manifest.annotations,
    tags: [],
  }
}

/** Its referrers have it again. */
async function findSubject(
  db: Transaction<Schema>,
  repository: RepositoryName,
  subject: Digest,
): Promise<void> {
  await db
    .updateTable('manifests')
    .set({ lost_subject: 0 })
    .where('repository', '=', repository)
    .where('subject', '=', subject)
    .where('lost_subject', '=', 1)
    .execute()
}

/** It came back without its subject, which was deleted, too: it goes with that unless that comes back as well. */
async function missSubject(
  db: Transaction<Schema>,
  repository: RepositoryName,
  { digest, subject }: Pick<DeletedManifestRow, 'digest' | 'subject'>,
): Promise<void> {
  const isDeleted = subject !== null && (await deletedAmong(db, repository, [subject])).size > 0
  if (!isDeleted) return
  await db
    .updateTable('manifests')
    .set({ lost_subject: 1 })
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .execute()
}

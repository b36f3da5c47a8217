import { sql, type Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import { artifactTypeOf, edgesOf, parseManifest } from '../manifest.ts'
import type { RepositoryName } from '../reference.ts'
import { batches } from './batches.ts'
import { comingBackWith, lostBelow } from './coming-back.ts'
import { deletedAmong } from './deleted-references.ts'
import type { ManifestInfo, NewManifest } from './manifest-records.ts'
import { insertEdges, insertManifests } from './manifest-rows.ts'
import type { Releases } from './releases.ts'
import type { DeletedManifestRow } from './rows/life-cycle.ts'
import type { Schema } from './schema.ts'

export interface Exhumation {
  /** Milliseconds since 1970. */
  readonly now: number
  /** Whether the transaction sets a tag to it. */
  readonly isTagged: boolean
}

/** Rows, and bytes of manifests, that are held in memory at once; one manifest may be as large as a push allows. */
const rowsAtOnce = 100
const bytesAtOnce = 8 * 1024 * 1024

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
  exhumation: Exhumation,
): Promise<ManifestInfo[]> {
  const { restored, lost } = await exhumeAll(db, releases, repository, [digest], exhumation)
  const missing = lost.get(digest)
  if (missing !== undefined) throw lostReferences(repository, digest, missing)
  return restored
}

/**
 * As {@link exhume}, those of these that can come back whole, each followed by what comes back with it. Answers as well
 * what the repository has lost of what the others name.
 */
export async function exhumeAll(
  db: Transaction<Schema>,
  releases: Releases,
  repository: RepositoryName,
  roots: readonly Digest[],
  { now, isTagged }: Exhumation,
): Promise<{ restored: ManifestInfo[]; lost: Map<Digest, Digest[]> }> {
  const present = await deletedAmong(db, repository, roots)
  const wanted = roots.filter(root => present.has(root))
  const lost = await lostBelow(db, repository, wanted)
  const whole = wanted.filter(root => !lost.has(root))
  const all = await comingBackWith(db, repository, whole)
  const isRoot = new Set(whole)
  const restored: ManifestInfo[] = []
  for await (const rows of takeRows(db, repository, all)) {
    const manifests = rows.map(row => ({
      manifest: manifestOf(row),
      // Whatever else comes back is in an index of them, or has its subject.
      times: {
        ...releases.columnsOf({ isTagged: isTagged || !isRoot.has(row.digest) }),
        released_at: now,
        created_at: row.created_at,
      },
    }))
    await insertManifests(db, repository, manifests)
    await insertEdges(
      db,
      repository,
      manifests.map(({ manifest }) => manifest),
    )
    restored.push(...rows.map(({ digest, media_type: mediaType, size }) => ({ digest, mediaType, size })))
  }
  for (const batch of batches(all)) {
    await findSubjects(db, repository, batch)
    await missSubjects(db, repository, batch)
  }
  return { restored, lost }
}

function lostReferences(repository: RepositoryName, digest: Digest, missing: readonly Digest[]): DomainError {
  const first = missing[0] ?? digest
  const others = missing.length > 1 ? ` and ${missing.length - 1} more` : ''
  return new DomainError(
    'missing_reference',
    `The manifest ${digest} cannot be brought back, because ${repository} has lost what it names: ${first}${others}; push the image again.`,
    { resource: 'manifest', name: digest, missing },
  )
}

/** Takes them away, in this order, as many at once as there is room for. */
async function* takeRows(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): AsyncGenerator<DeletedManifestRow[]> {
  for await (const group of groups(db, repository, digests)) {
    const rows = await db
      .deleteFrom('deleted_manifests')
      .where('repository', '=', repository)
      .where('digest', 'in', group)
      .returningAll()
      .execute()
    const found = new Map(rows.map(row => [row.digest, row]))
    yield group.flatMap(digest => found.get(digest) ?? [])
  }
}

async function* groups(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): AsyncGenerator<Digest[]> {
  for (const batch of batches(digests)) {
    const rows = await db
      .selectFrom('deleted_manifests')
      .select(['digest', 'size'])
      .where('repository', '=', repository)
      .where('digest', 'in', batch)
      .execute()
    const sizes = new Map(rows.map(({ digest, size }) => [digest, size]))
    let group: Digest[] = []
    let bytes = 0
    for (const digest of batch) {
      const size = sizes.get(digest) ?? 0
      if (group.length === rowsAtOnce || (group.length > 0 && bytes + size > bytesAtOnce)) {
        yield group
        group = []
        bytes = 0
      }
      group.push(digest)
      bytes += size
    }
    if (group.length > 0) yield group
  }
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

/** Their referrers have them again. */
async function findSubjects(
  db: Transaction<Schema>,
  repository: RepositoryName,
  subjects: readonly Digest[],
): Promise<void> {
  await db
    .updateTable('manifests')
    .set({ lost_subject: 0 })
    .where('repository', '=', repository)
    .where('subject', 'in', subjects)
    .where('lost_subject', '=', 1)
    .execute()
}

/** Those that came back without their subjects, which were deleted, too: they go with those unless they come back as well. */
async function missSubjects(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): Promise<void> {
  await sql`
    update manifests set lost_subject = 1
      where repository = ${repository} and digest in (${sql.join(digests)}) and subject is not null
        and exists (select 1 from deleted_manifests as deleted
          where deleted.repository = manifests.repository and deleted.digest = manifests.subject)
  `.execute(db)
}

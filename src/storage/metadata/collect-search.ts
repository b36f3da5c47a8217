import type { Kysely } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import type { Holding, Namers } from './collect-records.ts'
import type { Schema } from './schema.ts'

/** Where a digest is a manifest or a blob: at most so many of each, in byte order of the repositories. */
export async function holdersOf(db: Kysely<Schema>, digest: Digest, limit: number): Promise<Holding[]> {
  // No index begins with the digest; nobody asks this but people, now and then.
  const manifests = await db
    .selectFrom('manifests')
    .select(['repository', 'media_type', 'subject', 'review_at', 'released_at'])
    .where('digest', '=', digest)
    .orderBy('repository')
    .limit(limit)
    .execute()
  const deleted = await db
    .selectFrom('deleted_manifests')
    .select(['repository', 'media_type', 'subject', 'deleted_at', 'goes_at'])
    .where('digest', '=', digest)
    .orderBy('repository')
    .limit(limit)
    .execute()
  const links = await db
    .selectFrom('blob_links')
    .select(['repository', 'review_at', 'kept_until'])
    .where('digest', '=', digest)
    .orderBy('repository')
    .limit(limit)
    .execute()
  return [
    ...manifests.map(
      (row): Holding => ({
        repository: row.repository,
        kind: 'manifest',
        mediaType: row.media_type,
        reviewAt: dateOf(row.review_at),
        since: new Date(row.released_at),
        subject: row.subject,
        goesAt: null,
      }),
    ),
    ...deleted.map(
      (row): Holding => ({
        repository: row.repository,
        kind: 'manifest',
        mediaType: row.media_type,
        reviewAt: new Date(row.goes_at),
        since: new Date(row.deleted_at),
        subject: row.subject,
        goesAt: new Date(row.goes_at),
      }),
    ),
    ...links.map(
      (row): Holding => ({
        repository: row.repository,
        kind: 'blob',
        mediaType: null,
        reviewAt: dateOf(row.review_at),
        since: new Date(row.kept_until),
        subject: null,
        goesAt: null,
      }),
    ),
  ]
}

export async function findGarbageOf(db: Kysely<Schema>, digest: Digest): Promise<Date | undefined> {
  const row = await db
    .selectFrom('garbage')
    .select('since')
    .where('digest', '=', digest)
    .orderBy('since')
    .limit(1)
    .executeTakeFirst()
  return row && new Date(row.since)
}

export async function namersOf(
  db: Kysely<Schema>,
  repository: RepositoryName,
  digest: Digest,
  limit: number,
): Promise<Namers> {
  const tags = await db
    .selectFrom('tags')
    .select('name')
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .orderBy('name')
    .limit(limit)
    .execute()
  const manifests = await db
    .selectFrom('manifest_references')
    .select(['manifest as digest', 'role'])
    .distinct()
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .orderBy('manifest')
    .orderBy('role')
    .limit(limit)
    .execute()
  const deleted = await db
    .selectFrom('deleted_manifests')
    .select(['digest', 'deleted_at', 'goes_at'])
    .where('repository', '=', repository)
    .where('digest', 'in', naming =>
      naming
        .selectFrom('deleted_references')
        .select('manifest')
        .where('repository', '=', repository)
        .where('digest', '=', digest),
    )
    .orderBy('goes_at', 'desc')
    .limit(limit)
    .execute()
  return {
    tags: tags.map(({ name }) => name),
    manifests,
    deleted: deleted.map(row => ({
      digest: row.digest,
      deletedAt: new Date(row.deleted_at),
      goesAt: new Date(row.goes_at),
    })),
  }
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms)
}

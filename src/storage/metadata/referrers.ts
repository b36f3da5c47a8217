import { type Kysely, sql } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { batches } from './batches.ts'
import type { Referrer, ReferrerList, ReferrerPage, ReferrerPosition } from './manifest-records.ts'
import { isSeen } from './repository-rows.ts'
import type { ManifestRow } from './rows/content.ts'
import type { Schema } from './schema.ts'
import { isStorable } from './storable-text.ts'

/** No page has more: descriptors are longer than that share of the 4 MiB that a page may have. */
const maxRows = 20_000

type ReferrerRow = Pick<
  ManifestRow,
  'digest' | 'media_type' | 'size' | 'artifact_type' | 'annotations' | 'created_at'
>

/** A referrer without what may be megabytes long. */
interface ReferrerKey extends ReferrerPosition {
  /** At least what its descriptor takes as JSON, but for escaped characters. */
  readonly bytes: number
}

/**
 * One page. Annotations are as long as their manifests, so first only their lengths are read, and then as many of
 * them as the page has room for.
 */
export async function listReferrers(
  db: Kysely<Schema>,
  repository: RepositoryName,
  subject: Digest,
  page: ReferrerPage,
): Promise<ReferrerList> {
  const keys = await selectKeys(db, repository, subject, page)
  const wanted = keysWithin(keys, page.maxBytes)
  const referrers: Referrer[] = []
  let bytes = 0
  let last: ReferrerPosition | undefined
  for (const batch of batches(wanted))
    for (const row of await selectRows(db, repository, batch)) {
      const referrer = referrerOf(row)
      // The comma counts, too.
      bytes += Buffer.byteLength(JSON.stringify(referrer)) + 1
      if (referrers.length > 0 && bytes > page.maxBytes) return { referrers, next: last }
      referrers.push(referrer)
      last = { pushedAt: row.created_at, digest: row.digest }
    }
  return { referrers, next: wanted.length < keys.length ? wanted.at(-1) : undefined }
}

async function selectKeys(
  db: Kysely<Schema>,
  repository: RepositoryName,
  subject: Digest,
  { artifactTypes, after }: ReferrerPage,
): Promise<ReferrerKey[]> {
  let query = db
    .selectFrom('manifests')
    .select(['digest', 'created_at'])
    .select(
      sql<number>`coalesce(octet_length(annotations), 0) + coalesce(octet_length(artifact_type), 0)`.as(
        'bytes',
      ),
    )
    .where('repository', '=', repository)
    .where(isSeen(sql`${repository}`))
    .where('subject', '=', subject)
  if (artifactTypes.length > 0) {
    const storable = artifactTypes.filter(isStorable)
    if (storable.length === 0) return []
    query = query.where('artifact_type', 'in', storable)
  }
  if (after !== undefined)
    query = query.where(row =>
      row.or([
        row('created_at', '<', after.pushedAt),
        row.and([row('created_at', '=', after.pushedAt), row('digest', '<', after.digest)]),
      ]),
    )
  const rows = await query
    .orderBy('created_at', 'desc')
    .orderBy('digest', 'desc')
    .limit(maxRows + 1)
    .execute()
  return rows.map(({ digest, created_at, bytes }) => ({ digest, pushedAt: created_at, bytes }))
}

/** The first keys whose descriptors fit, one at least. */
function keysWithin(keys: readonly ReferrerKey[], maxBytes: number): ReferrerKey[] {
  let bytes = 0
  const end = keys.findIndex((key, index) => {
    bytes += key.bytes
    return index >= maxRows || (index > 0 && bytes > maxBytes)
  })
  return keys.slice(0, end < 0 ? keys.length : end)
}

async function selectRows(
  db: Kysely<Schema>,
  repository: RepositoryName,
  keys: readonly ReferrerKey[],
): Promise<ReferrerRow[]> {
  return db
    .selectFrom('manifests')
    .select(['digest', 'media_type', 'size', 'artifact_type', 'annotations', 'created_at'])
    .where('repository', '=', repository)
    .where(
      'digest',
      'in',
      keys.map(({ digest }) => digest),
    )
    .orderBy('created_at', 'desc')
    .orderBy('digest', 'desc')
    .execute()
}

function referrerOf({ digest, media_type, size, artifact_type, annotations }: ReferrerRow): Referrer {
  return {
    mediaType: media_type,
    digest,
    size,
    ...(artifact_type === null ? {} : { artifactType: artifact_type }),
    ...(annotations === null ? {} : { annotations: JSON.parse(annotations) as Record<string, string> }),
  }
}

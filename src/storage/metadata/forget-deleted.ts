import { type Kysely, sql, type Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { releaseBuriedLinks } from './buried-links.ts'
import { addTotals } from './collect-totals.ts'
import { firstLookAt, type KeepTimes } from './keep-times.ts'
import type { LinkWriter } from './link-writer.ts'
import { lockRepositoryRow } from './repository-rows.ts'
import type { DeletedManifestRow } from './rows/life-cycle.ts'
import type { Schema } from './schema.ts'
import type { UsageWriter } from './usage-writer.ts'

export interface ForgetParts {
  readonly links: LinkWriter
  readonly usage: UsageWriter
  readonly times: KeepTimes
}

export interface DeletedKey {
  readonly repository: RepositoryName
  readonly digest: Digest
}

/**
 * Deleted manifests whose time is over, those that have waited longest first. None that another one names, so that what
 * can be taken back is whole until it cannot.
 */
export async function dueDeleted(db: Kysely<Schema>, limit: number, now: number): Promise<DeletedKey[]> {
  const { rows } = await sql<DeletedKey>`
    select repository, digest from deleted_manifests as deleted
      where goes_at <= ${now} and not ${isNamed('deleted')}
      order by goes_at limit ${limit}
  `.execute(db)
  return rows
}

/** Lets those of one repository go whose time is still over. Answers how many went. */
export async function forgetDue(
  db: Transaction<Schema>,
  parts: ForgetParts,
  repository: RepositoryName,
  digests: readonly Digest[],
  now: number,
): Promise<number> {
  if ((await lockRepositoryRow(db, repository)) === undefined) return 0
  const { rows } = await sql<Pick<DeletedManifestRow, 'digest' | 'size'>>`
    select digest, size from deleted_manifests as deleted
      where repository = ${repository} and digest in (${sql.join(digests)}) and goes_at <= ${now}
        and not ${isNamed('deleted')}
  `.execute(db)
  for (const { digest, size } of rows) await forgetDeleted(db, parts, { repository, digest, size }, now)
  await addTotals(db, { manifests: rows.length })
  return rows.length
}

/** For a transaction that holds the repository's lock: it cannot be taken back any more, and lets go of what it names. */
export async function forgetDeleted(
  db: Transaction<Schema>,
  { links, usage, times }: ForgetParts,
  { repository, digest, size }: DeletedKey & { readonly size: number },
  now: number,
): Promise<void> {
  await releaseBuriedLinks(db, repository, digest, now + times.graceMs)
  // They have waited as long as it has: the grace is before them, and not all of it again. What lost something else since
  // then waits from then on.
  const since = now - times.undeleteMs + times.graceMs
  const columns = sql`review_at = ${firstLookAt(now, times)},
    released_at = case when released_at > ${since} then released_at else ${since} end`
  // Two statements: for one with `or` SQLite goes through all manifests of the repository.
  await sql`
    update manifests set ${columns}
      where repository = ${repository} and digest in (
        select digest from deleted_references where repository = ${repository} and manifest = ${digest})
  `.execute(db)
  await sql`
    update manifests set ${columns}
      where repository = ${repository} and subject = ${digest} and lost_subject = 1
  `.execute(db)
  await db
    .deleteFrom('deleted_manifests')
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .execute()
  await usage.write(db, repository, { bytes: -size })
  await links.reviewRepository(db, repository)
}

function isNamed(deleted: string) {
  return sql<boolean>`exists (
    select 1 from deleted_references as reference
      where reference.repository = ${sql.ref(`${deleted}.repository`)}
        and reference.digest = ${sql.ref(`${deleted}.digest`)}
  )`
}

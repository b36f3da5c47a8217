import type { Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import type { Requester } from '../requester.ts'
import type { EventWriter } from './event-writer.ts'
import { untagEvent } from './manifest-events.ts'
import type { Releases } from './releases.ts'
import { lockRepository } from './repository-rows.ts'
import type { TagExpiry } from './retention-records.ts'
import type { Schema } from './schema.ts'
import { recordTagChanges } from './tag-history.ts'
import { ruleFor } from './tag-rules.ts'

export interface ExpiryParts {
  readonly events: EventWriter
  readonly releases: Releases
  readonly now: () => number
}

/** As {@link RetentionRecords.expireTag}. */
export async function expireTag(
  db: Transaction<Schema>,
  { events, releases, now }: ExpiryParts,
  expiry: TagExpiry,
  by: Requester | undefined,
): Promise<boolean> {
  const { repository, tag, digest } = expiry
  if (!(await lockRepository(db, repository))) return false
  if (!(await isStillSo(db, expiry))) return false
  if ((await ruleFor(db, repository, () => Promise.resolve([tag]))) !== undefined) return false
  for (const [table, column] of [
    ['tags', 'name'],
    ['tag_expiries', 'tag'],
  ] as const)
    await db.deleteFrom(table).where('repository', '=', repository).where(column, '=', tag).execute()
  await releases.untagged(db, repository, [digest])
  await releases.drop(db, repository, digest)
  const at = now()
  await recordTagChanges(db, repository, [{ tag, digest: null, previous: digest }], {
    cause: 'expire',
    at,
    account: by?.account ?? null,
  })
  await events.write(db, [untagEvent(repository, tag, digest, { at: new Date(at), by })])
  return true
}

async function isStillSo(
  db: Transaction<Schema>,
  { repository, tag, digest, setAt, notPulledSince, dueBy }: TagExpiry,
): Promise<boolean> {
  const found = await db
    .selectFrom('tags')
    .select(['digest', 'updated_at'])
    .where('repository', '=', repository)
    .where('name', '=', tag)
    .executeTakeFirst()
  if (found?.digest !== digest || found.updated_at !== setAt.getTime()) return false
  if (notPulledSince !== undefined) {
    const pulledAt = await pulledAtOf(db, repository, digest)
    if (pulledAt !== undefined && pulledAt >= notPulledSince.getTime()) return false
  }
  if (dueBy === undefined) return true
  const time = await db
    .selectFrom('tag_expiries')
    .select('expires_at')
    .where('repository', '=', repository)
    .where('tag', '=', tag)
    .where('digest', '=', digest)
    .where('tag_set_at', '=', setAt.getTime())
    .where('expires_at', '<=', dueBy.getTime())
    .executeTakeFirst()
  return time !== undefined
}

/** As {@link RetentionRecords.dropUntagged}. */
export async function dropUntagged(
  db: Transaction<Schema>,
  { releases }: ExpiryParts,
  repository: RepositoryName,
  { digest, since }: { readonly digest: Digest; readonly since: number },
): Promise<boolean> {
  if (!(await lockRepository(db, repository))) return false
  const found = await db
    .selectFrom('manifests')
    .select(['subject', 'released_at', 'dropped'])
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    // Those who ask for it at this moment keep it, or hear that it goes.
    .forUpdate()
    .executeTakeFirst()
  if (found === undefined || found.dropped === 1 || found.released_at > since) return false
  const pulledAt = await pulledAtOf(db, repository, digest)
  if (pulledAt !== undefined && pulledAt > since) return false
  if (found.subject !== null) {
    const subject = await db
      .selectFrom('manifests')
      .select('digest')
      .where('repository', '=', repository)
      .where('digest', '=', found.subject)
      .executeTakeFirst()
    if (subject !== undefined) return false
  }
  return await releases.drop(db, repository, digest)
}

async function pulledAtOf(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digest: Digest,
): Promise<number | undefined> {
  const row = await db
    .selectFrom('pulled_manifests')
    .select('at')
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .executeTakeFirst()
  return row?.at
}

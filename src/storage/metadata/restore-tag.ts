import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { EventWriter } from './event-writer.ts'
import { exhume } from './exhume.ts'
import type { RestoredTag } from './history-records.ts'
import { type Occasion, tagEvent } from './manifest-events.ts'
import type { ManifestInfo } from './manifest-records.ts'
import { pointTags } from './manifest-rows.ts'
import type { Releases } from './releases.ts'
import type { Schema } from './schema.ts'
import { everNamed, recordTagChanges } from './tag-history.ts'
import { assertMutable } from './tag-rules.ts'

interface RestoreParts {
  readonly events: EventWriter
  readonly releases: Releases
}

/** As {@link HistoryRecords.restoreTag}, under the repository's lock. Answers as well which manifests came back. */
export async function restoreTag(
  db: Transaction<Schema>,
  { events, releases }: RestoreParts,
  repository: RepositoryName,
  tag: Tag,
  wanted: Digest | undefined,
  occasion: Occasion,
): Promise<RestoredTag & { readonly restored: readonly ManifestInfo[] }> {
  const current = await currentOf(db, repository, tag)
  const digest = wanted ?? (await beforeLastChange(db, repository, tag))
  if (digest === current) return { digest, previous: current, wasDeleted: false, restored: [] }
  if (wanted !== undefined && !(await everNamed(db, repository, tag, wanted)))
    throw notFound(
      tag,
      `The tag ${tag} of ${repository} never named ${wanted}, as far as that is remembered.`,
    )
  const now = occasion.at.getTime()
  const restored = await exhume(db, releases, repository, digest, { now, isTagged: true })
  const manifest = restored[0] ?? (await present(db, repository, digest))
  if (manifest === undefined)
    throw notFound(tag, `The manifest ${digest} that ${tag} of ${repository} named is gone; push it again.`)
  if (restored.length === 0) await releases.putAgain(db, repository, digest)
  await pointTags(db, repository, { digest, tags: [tag] }, now)
  await forgetExpiry(db, repository, tag)
  if (current !== null) {
    await assertMutable(db, repository, [tag])
    await releases.untagged(db, repository, [current])
  }
  const account = occasion.by?.account ?? null
  const move = { tag, digest, previous: current }
  await recordTagChanges(db, repository, [move], { cause: 'restore', at: now, account })
  await events.write(db, [tagEvent(repository, tag, manifest, current ?? undefined, occasion)])
  return { digest, previous: current, wasDeleted: restored.length > 0, restored }
}

async function currentOf(
  db: Transaction<Schema>,
  repository: RepositoryName,
  tag: Tag,
): Promise<Digest | null> {
  const row = await db
    .selectFrom('tags')
    .select('digest')
    .where('repository', '=', repository)
    .where('name', '=', tag)
    .executeTakeFirst()
  return row?.digest ?? null
}

async function beforeLastChange(
  db: Transaction<Schema>,
  repository: RepositoryName,
  tag: Tag,
): Promise<Digest> {
  const last = await db
    .selectFrom('tag_history')
    .select('previous')
    .where('repository', '=', repository)
    .where('tag', '=', tag)
    // A rename of the repository changes nothing of what its tags name.
    .where('cause', '<>', 'rename')
    .orderBy('serial', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (last === undefined) throw notFound(tag, `Nothing is remembered of a tag ${tag} of ${repository}.`)
  if (last.previous === null)
    throw notFound(
      tag,
      `The tag ${tag} of ${repository} was not there before its last change; say which digest it is to name.`,
    )
  return last.previous
}

async function present(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digest: Digest,
): Promise<ManifestInfo | undefined> {
  return db
    .selectFrom('manifests')
    .select(['digest', 'media_type as mediaType', 'size'])
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .executeTakeFirst()
}

/** It would be deleted again at once. */
async function forgetExpiry(db: Transaction<Schema>, repository: RepositoryName, tag: Tag): Promise<void> {
  await db.deleteFrom('tag_expiries').where('repository', '=', repository).where('tag', '=', tag).execute()
}

function notFound(tag: Tag, message: string): DomainError {
  return new DomainError('not_found', message, { resource: 'tag', name: tag })
}

import type { Transaction } from 'kysely'
import { DomainError, isDomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { Requester } from '../requester.ts'
import { requesterOf } from './bury-repository.ts'
import type { EventWriter } from './event-writer.ts'
import { exhume } from './exhume.ts'
import { pushEvents } from './manifest-events.ts'
import type { ManifestInfo } from './manifest-records.ts'
import { pointTags } from './manifest-rows.ts'
import type { Releases } from './releases.ts'
import type { RestoredContents } from './repository-records.ts'
import {
  type LockedRepository,
  lockRepositoryRow,
  showRepository,
  stillMoving,
  unknownRepository,
} from './repository-rows.ts'
import type { Schema } from './schema.ts'
import { recordTagChanges } from './tag-history.ts'
import type { UsageWriter } from './usage-writer.ts'

export interface RestoreParts {
  readonly events: EventWriter
  readonly usage: UsageWriter
  readonly releases: Releases
}

/** Manifests, or tags, that one transaction brings back: others who write wait meanwhile. */
const rowsAtOnce = 20

/** How far a restoration is. The manifests come back first, each of which may bring others along, then the tags. */
export interface RestorePlace {
  readonly digest?: Digest | undefined
  readonly serial?: number | undefined
}

/**
 * From here on what was deleted with the repository comes back, by {@link restoreBatch}; nobody sees it until all has.
 * @throws DomainError as {@link RepositoryChangeRecords.restoreRepository}; `busy` while it is being put away.
 */
export async function beginRestoring(
  db: Transaction<Schema>,
  name: RepositoryName,
  by: Requester | undefined,
): Promise<void> {
  const row = await lockDeleted(db, name, 'restored')
  if (row.moving === 'bury') throw stillMoving(name, 'bury')
  await db
    .updateTable('repositories')
    .set({ moving: 'restore', requester: by === undefined ? null : JSON.stringify(by) })
    .where('name', '=', name)
    .execute()
}

/** @throws DomainError `not_found`; `conflict` when it was not deleted. */
export async function lockDeleted(
  db: Transaction<Schema>,
  name: RepositoryName,
  what: 'restored' | 'purged',
): Promise<LockedRepository & { readonly deleted_at: number }> {
  const row = await lockRepositoryRow(db, name)
  if (row === undefined) throw unknownRepository(name)
  const { deleted_at } = row
  if (deleted_at !== null) return { ...row, deleted_at }
  throw new DomainError(
    'conflict',
    `The repository ${name} is there, so it cannot be ${what}; single manifests and tags of it can.`,
    { resource: 'repository', name },
  )
}

/** Undefined when all is back, and everybody sees it; or when somebody else is done with it. */
export async function restoreBatch(
  db: Transaction<Schema>,
  parts: RestoreParts,
  name: RepositoryName,
  place: RestorePlace,
  now: number,
): Promise<(RestoredContents & { readonly next: RestorePlace }) | undefined> {
  const row = await lockRepositoryRow(db, name)
  if (row?.moving !== 'restore' || row.deleted_at === null) return undefined
  const deletion = { name, at: row.deleted_at, by: requesterOf(row), now }
  if (place.serial === undefined) {
    const digests = await nextManifests(db, deletion, place.digest ?? '')
    const last = digests.at(-1)
    if (last !== undefined)
      return { ...(await bringBack(db, parts, deletion, digests)), tags: 0, next: { digest: last } }
  }
  const changes = await nextTags(db, deletion, place.serial ?? 0)
  const last = changes.at(-1)
  if (last !== undefined) {
    const tags = await setTags(db, parts, deletion, changes)
    return { manifests: 0, lost: 0, tags, next: { serial: last.serial } }
  }
  await showRepository(db, name, row.created_at)
  await parts.usage.write(db, name, { repositories: 1 })
  return undefined
}

interface Deletion {
  readonly name: RepositoryName
  readonly at: number
  readonly by: Requester | undefined
  readonly now: number
}

async function nextManifests(
  db: Transaction<Schema>,
  { name, at }: Deletion,
  after: string,
): Promise<Digest[]> {
  const rows = await db
    .selectFrom('deleted_manifests')
    .select('digest')
    .where('repository', '=', name)
    .where('deleted_at', '=', at)
    // Of no digest that is shorter, as the beginning is.
    .where('digest', '>', after as Digest)
    .orderBy('digest')
    .limit(rowsAtOnce)
    .execute()
  return rows.map(({ digest }) => digest)
}

async function bringBack(
  db: Transaction<Schema>,
  { events, releases }: RestoreParts,
  { name, by, now }: Deletion,
  digests: readonly Digest[],
): Promise<{ manifests: number; lost: number }> {
  let [manifests, lost] = [0, 0]
  for (const digest of digests) {
    try {
      const restored = await exhume(db, releases, name, digest, { now, isTagged: false })
      manifests += restored.length
      const occasion = { at: new Date(now), by }
      await events.write(
        db,
        restored.flatMap(each => pushEvents(name, each, new Map(), occasion)),
      )
    } catch (error) {
      // It is found out before anything of it is written. It stays deleted.
      if (!isDomainError(error, 'missing_reference')) throw error
      lost += 1
    }
  }
  return { manifests, lost }
}

interface LostTag {
  readonly serial: number
  readonly tag: Tag
  readonly digest: Digest
}

/** Tags that the deletion took away. */
async function nextTags(db: Transaction<Schema>, { name, at }: Deletion, after: number): Promise<LostTag[]> {
  return db
    .selectFrom('tag_history')
    .select(['serial', 'tag', 'previous as digest'])
    .where('repository', '=', name)
    .where('at', '=', at)
    .where('cause', '=', 'delete')
    .where('digest', 'is', null)
    .where('previous', 'is not', null)
    .$narrowType<{ digest: Digest }>()
    .where('serial', '>', after)
    .where(lost =>
      lost.exists(
        lost
          .selectFrom('manifests')
          .select('manifests.digest')
          .whereRef('manifests.repository', '=', 'tag_history.repository')
          .whereRef('manifests.digest', '=', 'tag_history.previous'),
      ),
    )
    .orderBy('serial')
    .limit(rowsAtOnce)
    .execute()
}

async function setTags(
  db: Transaction<Schema>,
  { events, releases }: RestoreParts,
  { name, by, now }: Deletion,
  lost: readonly LostTag[],
): Promise<number> {
  let count = 0
  for (const { tag, digest } of lost) {
    const manifest = await manifestOf(db, name, digest)
    if (manifest === undefined || (await isSetTo(db, name, tag, digest))) continue
    const before = await pointTags(db, name, { digest, tags: [tag] }, now)
    const previous = before.get(tag) ?? null
    await recordTagChanges(db, name, [{ tag, digest, previous }], {
      cause: 'restore',
      at: now,
      account: by?.account ?? null,
    })
    if (previous !== null && previous !== digest) await releases.untagged(db, name, [previous])
    const facts = { repository: name, ...manifest, tag, previous: previous ?? undefined, by }
    await events.write(db, [{ kind: 'tag', action: 'tag', ...facts, at: new Date(now) }])
    count += 1
  }
  return count
}

/** Whoever went on with this before may have set it. */
async function isSetTo(
  db: Transaction<Schema>,
  repository: RepositoryName,
  tag: Tag,
  digest: Digest,
): Promise<boolean> {
  const row = await db
    .selectFrom('tags')
    .select('digest')
    .where('repository', '=', repository)
    .where('name', '=', tag)
    .executeTakeFirst()
  return row?.digest === digest
}

async function manifestOf(
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

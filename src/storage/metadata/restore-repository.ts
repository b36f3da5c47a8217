import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { Requester } from '../requester.ts'
import { requesterOf } from './bury-repository.ts'
import type { EventWriter } from './event-writer.ts'
import { exhumeAll } from './exhume.ts'
import { pushEvents, tagEvent } from './manifest-events.ts'
import type { ManifestInfo } from './manifest-records.ts'
import type { Releases } from './releases.ts'
import type { RestoredContents } from './repository-records.ts'
import { assertRoomForOneMore } from './repository-room.ts'
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
const rowsAtOnce = 100

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
  { by, now }: { readonly by: Requester | undefined; readonly now: number },
): Promise<void> {
  const row = await lockDeleted(db, name, 'restored')
  if (row.moving === 'bury') throw stillMoving(name, 'bury')
  if (row.moving === null) await assertRoomForOneMore(db, name, now)
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
  // Those that cannot come back whole stay deleted.
  const { restored, lost } = await exhumeAll(db, releases, name, digests, { now, isTagged: false })
  const occasion = { at: new Date(now), by }
  await events.write(
    db,
    restored.flatMap(each => pushEvents(name, each, new Map(), occasion)),
  )
  return { manifests: restored.length, lost: lost.size }
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
  // Of two that name the same tag the later one is right.
  const wanted = new Map(lost.map(({ tag, digest }) => [tag, digest]))
  const manifests = await manifestsOf(db, name, [...new Set(wanted.values())])
  const before = await pointedTo(db, name, [...wanted.keys()])
  const moves = [...wanted].flatMap(([tag, digest]) => {
    const manifest = manifests.get(digest)
    const previous = before.get(tag) ?? null
    // Whoever went on with this before may have set it.
    return manifest === undefined || previous === digest ? [] : [{ tag, digest, previous, manifest }]
  })
  if (moves.length === 0) return 0
  await db
    .insertInto('tags')
    .values(
      moves.map(({ tag, digest, previous }) => ({
        repository: name,
        name: tag,
        digest,
        previous,
        updated_at: now,
      })),
    )
    .onConflict(conflict =>
      conflict.columns(['repository', 'name']).doUpdateSet(row => ({
        digest: row.ref('excluded.digest'),
        previous: row.ref('excluded.previous'),
        updated_at: row.ref('excluded.updated_at'),
      })),
    )
    .execute()
  await recordTagChanges(
    db,
    name,
    moves.map(({ tag, digest, previous }) => ({ tag, digest, previous })),
    { cause: 'restore', at: now, account: by?.account ?? null },
  )
  const untagged = new Set(moves.flatMap(({ previous }) => previous ?? []))
  await releases.untagged(db, name, [...untagged])
  const occasion = { at: new Date(now), by }
  await events.write(
    db,
    moves.map(({ tag, previous, manifest }) =>
      tagEvent(name, tag, manifest, previous ?? undefined, occasion),
    ),
  )
  return moves.length
}

async function pointedTo(
  db: Transaction<Schema>,
  repository: RepositoryName,
  tags: readonly Tag[],
): Promise<Map<Tag, Digest>> {
  const rows = await db
    .selectFrom('tags')
    .select(['name', 'digest'])
    .where('repository', '=', repository)
    .where('name', 'in', tags)
    .execute()
  return new Map(rows.map(({ name, digest }) => [name, digest]))
}

async function manifestsOf(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
): Promise<Map<Digest, ManifestInfo>> {
  const rows = await db
    .selectFrom('manifests')
    .select(['digest', 'media_type as mediaType', 'size'])
    .where('repository', '=', repository)
    .where('digest', 'in', digests)
    .execute()
  return new Map(rows.map(row => [row.digest, row]))
}

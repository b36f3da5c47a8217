import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import type { Requester } from '../requester.ts'
import { requesterOf } from './bury-repository.ts'
import type { EventWriter } from './event-writer.ts'
import { exhumeAll } from './exhume.ts'
import { pushEvents } from './manifest-events.ts'
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
import { nextTags, type RepositoryDeletion, setTags } from './restored-tags.ts'
import type { Schema } from './schema.ts'
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
  const changes = await nextTags(db, deletion, place.serial ?? 0, rowsAtOnce)
  const last = changes.at(-1)
  if (last !== undefined) {
    const tags = await setTags(db, parts, deletion, changes)
    return { manifests: 0, lost: 0, tags, next: { serial: last.serial } }
  }
  await showRepository(db, name, row.created_at)
  await parts.usage.write(db, name, { repositories: 1 })
  return undefined
}

async function nextManifests(
  db: Transaction<Schema>,
  { name, at }: RepositoryDeletion,
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
  { name, by, now }: RepositoryDeletion,
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

import type { Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { Requester } from '../requester.ts'
import type { EventWriter } from './event-writer.ts'
import { tagEvent } from './manifest-events.ts'
import type { ManifestInfo } from './manifest-records.ts'
import type { Releases } from './releases.ts'
import type { Schema } from './schema.ts'
import { recordTagChanges } from './tag-history.ts'

/** What a restoration takes back. */
export interface RepositoryDeletion {
  readonly name: RepositoryName
  readonly at: number
  readonly by: Requester | undefined
  readonly now: number
}

interface LostTag {
  readonly serial: number
  readonly tag: Tag
  readonly digest: Digest
}

/** The next tags that the deletion took away, in the order of the history; at most `limit`. */
export async function nextTags(
  db: Transaction<Schema>,
  { name, at }: RepositoryDeletion,
  after: number,
  limit: number,
): Promise<LostTag[]> {
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
    .limit(limit)
    .execute()
}

/** Lets the tags name again what they named, where that is there. Answers how many were changed. */
export async function setTags(
  db: Transaction<Schema>,
  { events, releases }: { readonly events: EventWriter; readonly releases: Releases },
  { name, by, now }: RepositoryDeletion,
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

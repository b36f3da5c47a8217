import type { Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { Requester } from '../requester.ts'
import type { NewEvent } from './event-records.ts'
import type { EventWriter } from './event-writer.ts'
import { deletionEvents, type Occasion, pushEvents } from './manifest-events.ts'
import type { ManifestInfo } from './manifest-records.ts'
import type { Schema } from './schema.ts'

/** Manifests whose events are put together at a time. */
const manifestsAtOnce = 500

interface TaggedManifest extends ManifestInfo {
  readonly tags: readonly Tag[]
}

/**
 * For receivers a rename is what they know already: all is pushed under the new name, what an index names before it, and
 * deleted under the old one. For a transaction that has not moved anything yet.
 */
export async function writeRenameEvents(
  db: Transaction<Schema>,
  events: EventWriter,
  {
    from,
    to,
    by,
    now,
  }: {
    readonly from: RepositoryName
    readonly to: RepositoryName
    readonly by: Requester | undefined
    readonly now: number
  },
): Promise<void> {
  const occasion: Occasion = { at: new Date(now), by }
  const pushed = (one: TaggedManifest): NewEvent[] =>
    pushEvents(to, one, new Map(one.tags.map(tag => [tag, undefined])), occasion)
  const deleted = (one: TaggedManifest): NewEvent[] => deletionEvents(from, one, one.tags, occasion)
  for (const eventsOf of [pushed, deleted])
    for await (const batch of taggedManifests(db, from)) await events.write(db, batch.flatMap(eventsOf))
}

/** In the order in which they were pushed. */
async function* taggedManifests(
  db: Transaction<Schema>,
  repository: RepositoryName,
): AsyncGenerator<TaggedManifest[]> {
  const tags = await tagsOf(db, repository)
  const manifests: ManifestInfo[] = await db
    .selectFrom('manifests')
    .select(['digest', 'media_type as mediaType', 'size'])
    .where('repository', '=', repository)
    .orderBy('created_at')
    .orderBy('digest')
    .execute()
  for (let start = 0; start < manifests.length; start += manifestsAtOnce)
    yield manifests
      .slice(start, start + manifestsAtOnce)
      .map(each => ({ ...each, tags: tags.get(each.digest) ?? [] }))
}

async function tagsOf(db: Transaction<Schema>, repository: RepositoryName): Promise<Map<Digest, Tag[]>> {
  const rows = await db
    .selectFrom('tags')
    .select(['name', 'digest'])
    .where('repository', '=', repository)
    .orderBy('name')
    .execute()
  const tags = new Map<Digest, Tag[]>()
  for (const { name, digest } of rows) {
    const known = tags.get(digest)
    if (known === undefined) tags.set(digest, [name])
    else known.push(name)
  }
  return tags
}

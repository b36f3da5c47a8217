import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { AdoptedBlob, AdoptedTag, AdoptionRecords, TagOutcome } from './adoption-records.ts'
import type { StoredBlob } from './blob-records.ts'
import { insertBlob } from './blobs.ts'
import type { Database } from './database.ts'
import type { EventWriter } from './event-writer.ts'
import { holdGarbage, takeBackGarbage } from './garbage.ts'
import type { KeepTimes } from './keep-times.ts'
import type { LinkWriter } from './link-writer.ts'
import type { Releases } from './releases.ts'
import { lockRepository } from './repository-rows.ts'
import { recordTagChanges } from './tag-history.ts'
import { ruleFor } from './tag-rules.ts'
import type { UsageWriter } from './usage-writer.ts'

export class KyselyAdoption implements AdoptionRecords {
  readonly #database: Database
  readonly #events: EventWriter
  readonly #usage: UsageWriter
  readonly #links: LinkWriter
  readonly #releases: Releases
  readonly #times: KeepTimes
  readonly #now: () => number

  constructor(
    database: Database,
    parts: {
      events: EventWriter
      usage: UsageWriter
      links: LinkWriter
      releases: Releases
      times: KeepTimes
    },
    now: () => number,
  ) {
    this.#database = database
    this.#events = parts.events
    this.#usage = parts.usage
    this.#links = parts.links
    this.#releases = parts.releases
    this.#times = parts.times
    this.#now = now
  }

  async holdObject(key: ObjectKey, options?: Abortable): Promise<void> {
    // Nearly nothing that is adopted was here before.
    const isGarbage = await this.#database.read(options, db =>
      db.selectFrom('garbage').select('since').where('object_key', '=', key).executeTakeFirst(),
    )
    if (isGarbage === undefined) return
    const now = this.#now()
    const until = now + this.#times.graceMs
    await this.#database.write(options, db => holdGarbage(db, key, { now, until }))
  }

  adoptBlob(blob: AdoptedBlob, options?: Abortable): Promise<StoredBlob> {
    return this.#database.write(options, async db => {
      const now = this.#now()
      const { stored, isNew } = await insertBlob(db, blob, { now, ...this.#times })
      // Also where it has taken the place of an object that was damaged.
      if (stored.objectKey === blob.objectKey) await takeBackGarbage(db, stored.objectKey, now)
      const change = await this.#links.add(db, blob.repository, stored, isNew)
      await this.#usage.write(db, blob.repository, change)
      return stored
    })
  }

  adoptTag({ repository, tag, digest, changedAt }: AdoptedTag, options?: Abortable): Promise<TagOutcome> {
    return this.#database.write(options, async db => {
      const isThere = await lockRepository(db, repository)
      const manifest = await db
        .selectFrom('manifests')
        .select(['media_type as mediaType', 'size'])
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .executeTakeFirst()
      if (!isThere || manifest === undefined)
        throw new DomainError('not_found', `The repository ${repository} has no manifest ${digest}.`, {
          resource: 'manifest',
          name: digest,
        })
      const present = await db
        .selectFrom('tags')
        .select(['digest', 'updated_at'])
        .where('repository', '=', repository)
        .where('name', '=', tag)
        .executeTakeFirst()
      if (present?.digest === digest) return 'same'
      if (present !== undefined && present.updated_at > changedAt.getTime()) return 'kept'
      if (present !== undefined && (await ruleFor(db, repository, async () => [tag])) !== undefined)
        return 'kept'
      // The time over there, not ours: what changes there while we are at work must still count as later.
      const now = this.#now()
      const previous = present?.digest ?? null
      const updatedAt = Math.min(changedAt.getTime(), now)
      await db
        .insertInto('tags')
        .values({ repository, name: tag, digest, previous, updated_at: updatedAt })
        .onConflict(conflict =>
          conflict.columns(['repository', 'name']).doUpdateSet({ digest, previous, updated_at: updatedAt }),
        )
        .execute()
      if (present !== undefined) await this.#releases.untagged(db, repository, [present.digest])
      await recordTagChanges(db, repository, [{ tag, digest, previous }], {
        cause: 'push',
        at: now,
        account: null,
      })
      const facts = { repository, digest, tag, ...manifest, previous: present?.digest, at: new Date(now) }
      await this.#events.write(db, [{ kind: 'tag', action: 'tag', ...facts }])
      return 'set'
    })
  }
}

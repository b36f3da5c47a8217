import type { Transaction } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import type { Database } from './database.ts'
import { selectDeletedManifests } from './deleted-manifests.ts'
import type { EventWriter } from './event-writer.ts'
import { exhume } from './exhume.ts'
import { dueDeleted, forgetDue } from './forget-deleted.ts'
import type {
  DeletedManifest,
  DeletedPage,
  HistoryPage,
  HistoryRecords,
  RestoredTag,
  TagChange,
} from './history-records.ts'
import type { KeepTimes } from './keep-times.ts'
import type { LinkWriter } from './link-writer.ts'
import { type Occasion, pushEvents } from './manifest-events.ts'
import type { ManifestInfo } from './manifest-records.ts'
import { notDeleted, purgeDeleted } from './purge-deleted.ts'
import type { Releases } from './releases.ts'
import { assertRoomForOneMore } from './repository-room.ts'
import { lockRepositoryRow, showRepository, stillMoving } from './repository-rows.ts'
import { restoreTag } from './restore-tag.ts'
import type { Schema } from './schema.ts'
import { listTagChanges } from './tag-changes.ts'
import { forgetTagHistory } from './tag-history.ts'
import type { UsageWriter } from './usage-writer.ts'

export interface HistoryParts {
  readonly events: EventWriter
  readonly usage: UsageWriter
  readonly links: LinkWriter
  readonly releases: Releases
  readonly times: KeepTimes
}

export class KyselyHistory implements HistoryRecords {
  readonly #database: Database
  readonly #parts: HistoryParts
  readonly #now: () => number

  constructor(database: Database, parts: HistoryParts, now: () => number) {
    this.#database = database
    this.#parts = parts
    this.#now = now
  }

  listTagHistory(
    repository: RepositoryName,
    tag: Tag,
    page: HistoryPage,
    options?: Abortable,
  ): Promise<TagChange[]> {
    return this.#database.read(options, db => listTagChanges(db, repository, tag, page))
  }

  listDeletedManifests(
    repository: RepositoryName,
    page: DeletedPage,
    options?: Abortable,
  ): Promise<DeletedManifest[]> {
    return this.#database.read(options, db => selectDeletedManifests(db, repository, page))
  }

  restoreTag(
    repository: RepositoryName,
    tag: Tag,
    digest: Digest | undefined,
    options?: ChangeOptions,
  ): Promise<RestoredTag> {
    return this.#database.write(options, async db => {
      await assertAtRest(db, repository)
      const occasion = this.#occasion(options)
      const { restored, ...outcome } = await restoreTag(db, this.#parts, repository, tag, digest, occasion)
      await this.#show(db, repository, restored, occasion)
      return outcome
    })
  }

  async restoreManifest(repository: RepositoryName, digest: Digest, options?: ChangeOptions): Promise<void> {
    await this.#database.write(options, async db => {
      await assertAtRest(db, repository)
      const occasion = this.#occasion(options)
      const { releases } = this.#parts
      const now = occasion.at.getTime()
      const restored = await exhume(db, releases, repository, digest, { now, isTagged: false })
      // One that was never deleted, or is back already.
      if (restored.length === 0 && !(await releases.keep(db, repository, digest)))
        throw notDeleted(repository, digest)
      await this.#show(db, repository, restored, occasion)
    })
  }

  async purgeManifest(repository: RepositoryName, digest: Digest, options?: ChangeOptions): Promise<void> {
    await this.#database.write(options, async db => {
      await assertAtRest(db, repository)
      const { at, by } = this.#occasion(options)
      const taken = await purgeDeleted(db, this.#parts, repository, digest, at.getTime())
      const facts = { kind: 'blob', action: 'delete', repository, at, by } as const
      await this.#parts.events.write(
        db,
        taken.map(({ digest: blob, size }) => ({ ...facts, digest: blob, size })),
      )
    })
  }

  async forgetDeletedManifests(limit: number, options?: Abortable): Promise<number> {
    const now = this.#now()
    const due = await this.#database.read(options, db => dueDeleted(db, limit, now))
    let forgotten = 0
    for (const [repository, keys] of Map.groupBy(due, key => key.repository)) {
      const digests = keys.map(({ digest }) => digest)
      forgotten += await this.#database.write(options, db =>
        forgetDue(db, this.#parts, repository, digests, now),
      )
    }
    return forgotten
  }

  forgetTagHistory(before: Date, limit: number, options?: Abortable): Promise<number> {
    return this.#database.write(options, db => forgetTagHistory(db, before.getTime(), limit))
  }

  #occasion(options: ChangeOptions | undefined): Occasion {
    return { at: new Date(this.#now()), by: options?.by }
  }

  /** A repository is there when something of it is; and tells of what came back. */
  async #show(
    db: Transaction<Schema>,
    repository: RepositoryName,
    restored: readonly ManifestInfo[],
    occasion: Occasion,
  ): Promise<void> {
    const row = await lockRepositoryRow(db, repository)
    if (row !== undefined && row.deleted_at !== null) {
      await assertRoomForOneMore(db, repository, occasion.at.getTime())
      await showRepository(db, repository, row.created_at)
      await this.#parts.usage.write(db, repository, { repositories: 1 })
    }
    await this.#parts.events.write(
      db,
      restored.flatMap(manifest => pushEvents(repository, manifest, new Map(), occasion)),
    )
  }
}

/** From here on the repository is locked. @throws DomainError `busy` while all of it comes or goes. */
async function assertAtRest(db: Transaction<Schema>, repository: RepositoryName): Promise<void> {
  const row = await lockRepositoryRow(db, repository)
  if (row !== undefined && row.moving !== null) throw stillMoving(repository, row.moving)
}

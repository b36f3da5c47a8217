import { type Kysely, sql } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { enqueueForgotten } from './collect-forgotten.ts'
import { reviewLinksOf } from './collect-links.ts'
import { enqueueUntaggedAfter, type ManifestReviewParts, reviewManifestsOf } from './collect-manifests.ts'
import type {
  CollectLease,
  CollectRecords,
  CollectState,
  Holding,
  LinkReview,
  ManifestPolicy,
  ManifestReview,
  Namers,
  RepositoryReview,
  Waiting,
} from './collect-records.ts'
import { reviewRepository } from './collect-repositories.ts'
import { findGarbageOf, holdersOf, namersOf } from './collect-search.ts'
import type { Database } from './database.ts'
import { Leases } from './leases.ts'
import type { LinkWriter } from './link-writer.ts'
import type { Schema } from './schema.ts'

export interface CollectParts extends ManifestReviewParts {
  readonly links: LinkWriter
}

/** There is one, whatever is collected. */
const leaseName = 'garbage'

export class KyselyCollect implements CollectRecords {
  readonly #database: Database
  readonly #parts: CollectParts
  readonly #now: () => number
  readonly #leases: Leases

  constructor(database: Database, parts: CollectParts, now: () => number) {
    this.#database = database
    this.#parts = parts
    this.#now = now
    this.#leases = new Leases(database, 'collect', now)
  }

  leaseCollection(lease: CollectLease, options?: Abortable): Promise<boolean> {
    return this.#leases.take(leaseName, lease, options)
  }

  releaseCollection(holder: string, options?: Abortable): Promise<void> {
    return this.#leases.release(leaseName, holder, options)
  }

  async pauseCollection(by: string | null, options?: Abortable): Promise<void> {
    await this.#database.write(options, db =>
      db
        .updateTable('collect_state')
        .set({ paused_at: this.#now(), paused_by: by })
        .where('paused_at', 'is', null)
        .execute(),
    )
  }

  async resumeCollection(options?: Abortable): Promise<void> {
    await this.#database.write(options, db =>
      db.updateTable('collect_state').set({ paused_at: null, paused_by: null }).execute(),
    )
  }

  async collectState(options?: Abortable): Promise<CollectState> {
    const row = await this.#database.read(options, db =>
      db.selectFrom('collect_state').selectAll().executeTakeFirstOrThrow(),
    )
    const { links, blobs, manifests, repositories, objects, bytes } = row
    return {
      pausedAt: dateOf(row.paused_at),
      pausedBy: row.paused_by,
      tickedAt: dateOf(row.ticked_at),
      totals: { links, blobs, manifests, repositories, objects, bytes },
    }
  }

  async countWaiting(options?: Abortable): Promise<Waiting> {
    const { rows } = await this.#database.read(options, db =>
      sql<Omit<Waiting, 'objectsSince'> & { since: number | null }>`
        select
          (select count(*) from blob_links where review_at is not null) as links,
          (select count(*) from manifests where review_at is not null) as manifests,
          (select count(*) from garbage) as objects,
          (select coalesce(cast(sum(size) as bigint), 0) from garbage) as bytes,
          (select min(since) from garbage) as since,
          (select count(*) from deleted_manifests) as "deletedManifests",
          (select coalesce(cast(sum(size) as bigint), 0) from deleted_manifests) +
            (select coalesce(cast(sum(size) as bigint), 0) from blobs
              where digest in (select digest from deleted_references)
                and not exists (select 1 from blob_links as link
                  join manifest_references as reference
                    on reference.repository = link.repository and reference.digest = link.digest
                  where link.digest = blobs.digest)) as "deletedBytes"
      `.execute(db),
    )
    const [{ since, ...waiting } = noWaiting] = rows
    return { ...waiting, objectsSince: dateOf(since) }
  }

  async noteTick(options?: Abortable): Promise<void> {
    await this.#database.write(options, db =>
      db.updateTable('collect_state').set({ ticked_at: this.#now() }).execute(),
    )
  }

  async reviewLinks(limit: number, options?: Abortable): Promise<LinkReview> {
    const now = this.#now()
    const due = await this.#due('blob_links', limit, now, options)
    let [links, blobs, bytes] = [0, 0, 0]
    for (const [repository, digests] of due.byRepository) {
      const review = await this.#database.write(options, db =>
        reviewLinksOf(db, this.#parts, repository, digests, now),
      )
      links += review.links
      blobs += review.blobs
      bytes += review.bytes
    }
    return { seen: due.seen, links, blobs, bytes }
  }

  async reviewManifests(policy: ManifestPolicy, limit: number, options?: Abortable): Promise<ManifestReview> {
    const now = this.#now()
    const due = await this.#due('manifests', limit, now, options)
    let manifests = 0
    for (const [repository, digests] of due.byRepository)
      manifests += await this.#database.write(options, db =>
        reviewManifestsOf(db, this.#parts, { repository, digests, policy }, now),
      )
    return { seen: due.seen, manifests }
  }

  async reviewRepositories(limit: number, options?: Abortable): Promise<RepositoryReview> {
    const now = this.#now()
    const due = await this.#database.read(options, db =>
      db
        .selectFrom('repositories')
        .select('name')
        .where('review_at', '<=', now)
        .orderBy('review_at')
        .limit(limit)
        .execute(),
    )
    let repositories = 0
    for (const { name } of due) {
      const { usage, times } = this.#parts
      const isGone = await this.#database.write(options, db =>
        reviewRepository(db, usage, name, { now, times }),
      )
      if (isGone) repositories += 1
    }
    return { seen: due.length, repositories }
  }

  enqueueUntagged(isWanted: boolean, repositories: number, options?: Abortable): Promise<boolean> {
    return this.#database.write(options, async db => {
      const { untagged_after: after, untagged_done: isDone } = await db
        .selectFrom('collect_state')
        .select(['untagged_after', 'untagged_done'])
        .executeTakeFirstOrThrow()
      const isBegun = isDone === 1 || after !== null
      if (isWanted ? isDone === 1 : !isBegun) return false
      const last = isWanted ? await enqueueUntaggedAfter(db, after, repositories, this.#now()) : undefined
      await db
        .updateTable('collect_state')
        .set({ untagged_after: last ?? null, untagged_done: isWanted && last === undefined ? 1 : 0 })
        .execute()
      return last !== undefined
    })
  }

  enqueueForgotten(limit: number, options?: Abortable): Promise<boolean> {
    const { links } = this.#parts
    return this.#database.write(options, db => enqueueForgotten(db, { links, now: this.#now(), limit }))
  }

  holdersOf(digest: Digest, limit: number, options?: Abortable): Promise<Holding[]> {
    return this.#database.read(options, db => holdersOf(db, digest, limit))
  }

  findGarbageOf(digest: Digest, options?: Abortable): Promise<Date | undefined> {
    return this.#database.read(options, db => findGarbageOf(db, digest))
  }

  namersOf(repository: RepositoryName, digest: Digest, limit: number, options?: Abortable): Promise<Namers> {
    return this.#database.read(options, db => namersOf(db, repository, digest, limit))
  }

  /** Rows whose time has come, by repository: one transaction for each. */
  async #due(
    table: 'blob_links' | 'manifests',
    limit: number,
    now: number,
    options: Abortable | undefined,
  ): Promise<{ seen: number; byRepository: Map<RepositoryName, Digest[]> }> {
    const rows = await this.#database.read(options, db => selectDue(db, table, limit, now))
    const byRepository = new Map<RepositoryName, Digest[]>()
    for (const { repository, digest } of rows) {
      const digests = byRepository.get(repository)
      if (digests === undefined) byRepository.set(repository, [digest])
      else digests.push(digest)
    }
    return { seen: rows.length, byRepository }
  }
}

/** How many times as many rows as are wanted are looked at for others of the same repository. */
const lookedAhead = 50

const noWaiting = {
  links: 0,
  manifests: 0,
  objects: 0,
  bytes: 0,
  since: null,
  deletedManifests: 0,
  deletedBytes: 0,
}

/**
 * Those of one repository together, the one that has waited longest first: a transaction for each of them costs much the
 * same, be it for one row or for all.
 */
function selectDue(db: Kysely<Schema>, table: 'blob_links' | 'manifests', limit: number, now: number) {
  return db
    .selectFrom(
      db
        .selectFrom(table)
        .select(['repository', 'digest', 'review_at'])
        .where('review_at', '<=', now)
        .orderBy('review_at')
        .limit(limit * lookedAhead)
        .as('due'),
    )
    .select(['due.repository', 'due.digest'])
    .orderBy(sql`min(due.review_at) over (partition by due.repository)`)
    .orderBy('due.repository')
    .orderBy('due.review_at')
    .limit(limit)
    .execute()
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms)
}

import { type Selectable, sql, type Transaction } from 'kysely'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { batches } from './batches.ts'
import { firstLookAt, isPromised, type KeepTimes } from './keep-times.ts'
import type { LinkWriter } from './link-writer.ts'
import type { ManifestRow } from './rows/content.ts'
import type { Schema } from './schema.ts'

/**
 * Writes down, in the transactions that let go of something, that somebody has to look at it later. They hold the
 * repository's lock.
 *
 * A manifest's `review_at` is when that is, null while something is known to name it, or nobody has to care;
 * `released_at` is since when nothing may have named it, or when it was last asked for by digest while nothing did.
 */
export class Releases {
  readonly #links: LinkWriter
  readonly #now: () => number
  readonly #times: KeepTimes

  constructor(links: LinkWriter, now: () => number, times: KeepTimes) {
    this.#links = links
    this.#now = now
    this.#times = times
  }

  /** Columns of a manifest that is put. */
  columnsOf({ isTagged }: { readonly isTagged: boolean }): { review_at: number | null; released_at: number } {
    const now = this.#now()
    return { review_at: isTagged ? null : firstLookAt(now, this.#times), released_at: now }
  }

  /** Whether the caller may be told that the manifest is there, and nothing has to be written for it. */
  isPromised({ review_at, released_at }: Pick<ManifestRow, 'review_at' | 'released_at'>): boolean {
    return review_at === null || isPromised(released_at + this.#times.graceMs, this.#now(), this.#times)
  }

  /** Keeps a manifest that nothing names from being deleted for a while. False when it is not there. Needs no lock. */
  async keep(db: Transaction<Schema>, repository: RepositoryName, digest: Digest): Promise<boolean> {
    const { numUpdatedRows } = await db
      .updateTable('manifests')
      .set({ released_at: this.#now() })
      .where('repository', '=', repository)
      .where('digest', '=', digest)
      .executeTakeFirstOrThrow()
    return numUpdatedRows > 0n
  }

  /** A manifest that is there is put once more: it is kept as a new one would be, even if it had lost its subject. */
  async putAgain(db: Transaction<Schema>, repository: RepositoryName, digest: Digest): Promise<void> {
    await db
      .updateTable('manifests')
      .set({ released_at: this.#now(), lost_subject: 0, dropped: 0 })
      .where('repository', '=', repository)
      .where('digest', '=', digest)
      .execute()
  }

  /** Tags that named these manifests name them no more. */
  async untagged(
    db: Transaction<Schema>,
    repository: RepositoryName,
    digests: readonly Digest[],
  ): Promise<void> {
    for (const batch of batches(digests))
      await db
        .updateTable('manifests')
        // Whoever has tagged it since it was dropped wanted it; whoever untags it now is not the retention.
        .set({ ...this.columnsOf({ isTagged: false }), dropped: 0 })
        .where('repository', '=', repository)
        .where('digest', 'in', batch)
        .execute()
  }

  /**
   * The retention lets go of a manifest: if nothing names it, it goes after the time in which it can be taken back,
   * whatever becomes of others without a tag. Answers whether nothing does.
   */
  async drop(db: Transaction<Schema>, repository: RepositoryName, digest: Digest): Promise<boolean> {
    const dropped = await dropUnnamed(db, repository, [digest], {
      ...this.columnsOf({ isTagged: false }),
      dropped: 1,
    })
    return dropped === 1
  }

  /**
   * Children of a manifest that was dropped and is gone, that nothing else names: they go like it.
   */
  async dropChildren(
    db: Transaction<Schema>,
    repository: RepositoryName,
    children: readonly Digest[],
  ): Promise<void> {
    for (const batch of batches(children)) await dropUnnamed(db, repository, batch, { dropped: 1 })
  }

  /**
   * A manifest is about to be deleted, whose edges are still there.
   * @param at since when what it names counts as let go of; now unless given.
   */
  async deleted(
    db: Transaction<Schema>,
    repository: RepositoryName,
    manifest: Digest,
    at = this.#now(),
  ): Promise<void> {
    const now = this.#now()
    const review_at = firstLookAt(now, this.#times)
    await this.#links.release(db, repository, manifest)
    await db
      .updateTable('manifests')
      // One that has lost its own tag since then waits from there, so that the tag can be taken back.
      .set({
        review_at,
        released_at: sql<number>`case when released_at > ${at} then released_at else ${at} end`,
      })
      .where('repository', '=', repository)
      .where('digest', 'in', children =>
        children
          .selectFrom('manifest_references')
          .select('digest')
          .where('repository', '=', repository)
          .where('manifest', '=', manifest)
          .where('role', '=', 'child'),
      )
      .execute()
    await db
      .updateTable('manifests')
      .set({ review_at, released_at: now, lost_subject: 1 })
      .where('repository', '=', repository)
      .where('subject', '=', manifest)
      .execute()
    await this.#links.reviewRepository(db, repository)
  }
}

/** Those of these that no tag and no index names. What a deleted index names comes back with it, whatever this says. */
async function dropUnnamed(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digests: readonly Digest[],
  columns: Partial<Pick<Selectable<ManifestRow>, 'review_at' | 'released_at' | 'dropped'>>,
): Promise<number> {
  const { numUpdatedRows } = await db
    .updateTable('manifests')
    .set(columns)
    .where('repository', '=', repository)
    .where('digest', 'in', digests)
    .where(manifest =>
      manifest.not(
        manifest.exists(
          manifest
            .selectFrom('tags')
            .select('tags.name')
            .whereRef('tags.repository', '=', 'manifests.repository')
            .whereRef('tags.digest', '=', 'manifests.digest'),
        ),
      ),
    )
    .where(manifest =>
      manifest.not(
        manifest.exists(
          manifest
            .selectFrom('manifest_references as reference')
            .select('reference.manifest')
            .whereRef('reference.repository', '=', 'manifests.repository')
            .whereRef('reference.digest', '=', 'manifests.digest')
            .where('reference.role', '=', 'child'),
        ),
      ),
    )
    .executeTakeFirstOrThrow()
  return Number(numUpdatedRows)
}

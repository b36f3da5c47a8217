import { sql, type Transaction } from 'kysely'
import { tenantOf } from '../accounts/names.ts'
import type { BlobInfo } from '../blobs/blob-store.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { batches } from './batches.ts'
import type { StoredBlob } from './blob-records.ts'
import { addBlobGarbage } from './garbage.ts'
import { firstLookAt, isPromised, type KeepTimes } from './keep-times.ts'
import { ensureRepository } from './repository-rows.ts'
import type { BlobLinkRow, BlobRow } from './rows/content.ts'
import type { Schema } from './schema.ts'
import { inTenant } from './tenant-range.ts'
import { isFirstOfTenant, type UsageChange, type UsageWriter } from './usage-writer.ts'

export type LinkKey = Pick<BlobLinkRow, 'repository' | 'digest'>

/**
 * Makes links and takes them away, and with the last link of a blob the blob.
 *
 * `review_at` is when somebody has to look whether a manifest names the blob; null while one is known to, which can be
 * pulled. `kept_until` is what others were promised, and counts only while `review_at` is set.
 *
 * Whoever needs rows of several of these tables locks them in this order: repository, blobs, links.
 */
export class LinkWriter {
  readonly #usage: UsageWriter
  readonly #now: () => number
  readonly #times: KeepTimes

  constructor(usage: UsageWriter, now: () => number, times: KeepTimes) {
    this.#usage = usage
    this.#now = now
    this.#times = times
  }

  /** Whether the caller may be told that the blob is there, and nothing has to be written for it. */
  isPromised({ review_at, kept_until }: Pick<BlobLinkRow, 'review_at' | 'kept_until'>): boolean {
    return review_at === null || isPromised(kept_until, this.#now(), this.#times)
  }

  /** Keeps a link from being taken away for a while. False when there is none. */
  async keep(db: Transaction<Schema>, { repository, digest }: LinkKey): Promise<boolean> {
    const { numUpdatedRows } = await db
      .updateTable('blob_links')
      .set({ kept_until: this.#now() + this.#times.graceMs })
      .where('repository', '=', repository)
      .where('digest', '=', digest)
      .executeTakeFirstOrThrow()
    return numUpdatedRows > 0n
  }

  /**
   * Links the blob, which is there, and makes the repository exist. Answers what that changes of what the tenant uses.
   * @param isNew whether the blob was stored by this transaction, so that nobody else has a link to it.
   */
  async add(
    db: Transaction<Schema>,
    repository: RepositoryName,
    { digest, size }: StoredBlob,
    isNew: boolean,
  ): Promise<UsageChange> {
    const repositories = (await ensureRepository(db, repository, this.#now())) ? 1 : 0
    while (!(await this.#insert(db, { repository, digest })))
      // It was there; it may be on its way out.
      if (await this.keep(db, { repository, digest })) return { repositories }
    return { repositories, bytes: isNew || (await isFirstOfTenant(db, repository, digest)) ? size : 0 }
  }

  async #insert(db: Transaction<Schema>, key: LinkKey): Promise<boolean> {
    const now = this.#now()
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('blob_links')
      .values({
        ...key,
        created_at: now,
        review_at: firstLookAt(now, this.#times),
        kept_until: now + this.#times.graceMs,
      })
      .onConflict(conflict => conflict.columns(['repository', 'digest']).doNothing())
      .executeTakeFirstOrThrow()
    return numInsertedOrUpdatedRows === 1n
  }

  /**
   * For a transaction that holds the repository's lock and is about to take the manifest's edges away: the blobs that it
   * names are looked at when the grace is over.
   */
  async release(db: Transaction<Schema>, repository: RepositoryName, manifest: Digest): Promise<void> {
    const until = this.#now() + this.#times.graceMs
    await db
      .updateTable('blob_links')
      .set({ review_at: until, kept_until: until })
      .where('repository', '=', repository)
      .where('digest', 'in', named =>
        named
          .selectFrom('manifest_references')
          .select('digest')
          .where('repository', '=', repository)
          .where('manifest', '=', manifest),
      )
      .execute()
  }

  /**
   * For a transaction that holds the repository's lock and knows that no manifest of it may keep these blobs: takes the
   * links away, from the tenant's usage what they count, and the blobs that nobody else has a link to, whose objects
   * become garbage. Answers those that were linked.
   * @param isLate only if its time is over: somebody may be told at this moment that a blob is there.
   */
  async takeAway(
    db: Transaction<Schema>,
    repository: RepositoryName,
    digests: readonly Digest[],
    { isLate = false }: { readonly isLate?: boolean } = {},
  ): Promise<TakenBlob[]> {
    const taken: TakenBlob[] = []
    for (const batch of batches([...new Set(digests)].sort()))
      taken.push(...(await this.#takeBatch(db, repository, batch, isLate)))
    if (taken.length > 0) await this.reviewRepository(db, repository)
    return taken
  }

  async #takeBatch(
    db: Transaction<Schema>,
    repository: RepositoryName,
    digests: readonly Digest[],
    isLate: boolean,
  ): Promise<TakenBlob[]> {
    const blobs = await lockBlobs(db, digests)
    const rows = await db
      .deleteFrom('blob_links')
      .where('repository', '=', repository)
      .where('digest', 'in', digests)
      .$if(isLate, links => links.where('kept_until', '<=', this.#now()))
      .returning('digest')
      .execute()
    const deleted = new Set(rows.map(row => row.digest))
    const unlinked = blobs.filter(({ digest }) => deleted.has(digest))
    if (unlinked.length === 0) return []
    const names = unlinked.map(({ digest }) => digest)
    const inOurTenant = await linkedIn(db, names, repository)
    const anywhere = inOurTenant.size === names.length ? inOurTenant : await linkedIn(db, names)
    const uncounted = unlinked.filter(({ digest }) => !inOurTenant.has(digest))
    await this.#usage.write(db, repository, { bytes: -uncounted.reduce((sum, { size }) => sum + size, 0) })
    await this.#delete(
      db,
      unlinked.filter(({ digest }) => !anywhere.has(digest)),
    )
    return unlinked.map(({ digest, size }) => ({ digest, size, isLast: !anywhere.has(digest) }))
  }

  /**
   * Brings links into the queue that are in no queue and that no manifest names, those after one and up to another in
   * byte order: a replica of an older version knows no queue.
   */
  async enqueueForgotten(
    db: Transaction<Schema>,
    after: { readonly repository: string; readonly digest: string },
    last: LinkKey,
  ): Promise<void> {
    const until = this.#now() + this.#times.graceMs
    // No `not exists`: PostgreSQL makes a join of that, over all references that there are.
    await sql`
      update blob_links set review_at = ${until}, kept_until = ${until}
        where review_at is null
          and (repository, digest) > (${after.repository}, ${after.digest})
          and (repository, digest) <= (${last.repository}, ${last.digest})
          and (select 1 from manifest_references as reference
            where reference.repository = blob_links.repository
              and reference.digest = blob_links.digest
            limit 1) is null
          and (select 1 from deleted_references as reference
            where reference.repository = blob_links.repository
              and reference.digest = blob_links.digest
            limit 1) is null`.execute(db)
  }

  /** Takes blobs away that nobody has a link to, as a replica of an older version leaves them. Others stay. */
  async takeUnlinked(db: Transaction<Schema>, digests: readonly Digest[]): Promise<void> {
    for (const batch of batches([...digests].sort())) {
      const blobs = await lockBlobs(db, batch)
      const linked = await linkedIn(db, batch)
      await this.#delete(
        db,
        blobs.filter(({ digest }) => !linked.has(digest)),
      )
    }
  }

  /** For a transaction that has locked these blobs, and knows that nobody has a link to one. */
  async #delete(db: Transaction<Schema>, blobs: readonly BlobColumns[]): Promise<void> {
    if (blobs.length === 0) return
    const digests = blobs.map(({ digest }) => digest)
    await db.deleteFrom('blob_faults').where('digest', 'in', digests).execute()
    await db.deleteFrom('blobs').where('digest', 'in', digests).execute()
    await addBlobGarbage(db, blobs, this.#now() + this.#times.objectDelayMs)
  }

  /** It may be empty now. */
  async reviewRepository(db: Transaction<Schema>, name: RepositoryName): Promise<void> {
    await db
      .updateTable('repositories')
      .set({ review_at: this.#now() + this.#times.graceMs })
      .where('name', '=', name)
      .execute()
  }
}

export interface TakenBlob extends BlobInfo {
  /** Nobody else has a link to it, so it is gone. */
  readonly isLast: boolean
}

type BlobColumns = Pick<BlobRow, 'digest' | 'size' | 'object_key'>

/** From here on nobody links one of them, or takes a link of one away. */
export async function lockBlobs(db: Transaction<Schema>, digests: readonly Digest[]): Promise<BlobColumns[]> {
  return db
    .selectFrom('blobs')
    .select(['digest', 'size', 'object_key'])
    .where('digest', 'in', digests)
    .orderBy('digest')
    .forUpdate()
    .execute()
}

/** Which of these are linked in the tenant of a repository, or anywhere. */
export async function linkedIn(
  db: Transaction<Schema>,
  digests: readonly Digest[],
  repository?: RepositoryName,
): Promise<Set<Digest>> {
  const rows = await db
    .selectFrom('blobs')
    .select('digest')
    .where('digest', 'in', digests)
    .where(blob =>
      blob.exists(
        blob
          .selectFrom('blob_links')
          .select('blob_links.repository')
          .whereRef('blob_links.digest', '=', 'blobs.digest')
          .$if(repository !== undefined, links =>
            repository === undefined
              ? links
              : links.where(inTenant('blob_links.repository', tenantOf(repository))),
          ),
      ),
    )
    .execute()
  return new Set(rows.map(({ digest }) => digest))
}

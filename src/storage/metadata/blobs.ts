import { type Kysely, sql, type Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import type { BlobRecords, BlobSearch, NewBlob, NewBlobLink, StoredBlob } from './blob-records.ts'
import type { Database } from './database.ts'
import type { EventWriter } from './event-writer.ts'
import { addGarbage } from './garbage.ts'
import type { KeepTimes } from './keep-times.ts'
import type { LinkKey, LinkWriter } from './link-writer.ts'
import type { PreparedQuery } from './prepared.ts'
import { type HealTimes, heal } from './quarantine.ts'
import { isSeen, lockRepository } from './repository-rows.ts'
import type { BlobLinkRow, BlobRow } from './rows/content.ts'
import type { Schema } from './schema.ts'
import { below } from './tenant-range.ts'
import { lostLease, unknownUpload } from './upload-errors.ts'
import type { UsageWriter } from './usage-writer.ts'
import { visibleRepositoriesWithBlob } from './visible-repositories.ts'

export class KyselyBlobs implements BlobRecords {
  readonly #database: Database
  readonly #events: EventWriter
  readonly #usage: UsageWriter
  readonly #links: LinkWriter
  readonly #times: KeepTimes
  readonly #now: () => number
  readonly #linked: PreparedQuery<LinkKey, LinkedColumns>

  constructor(
    database: Database,
    parts: { events: EventWriter; usage: UsageWriter; links: LinkWriter; times: KeepTimes },
    now: () => number,
  ) {
    this.#database = database
    this.#events = parts.events
    this.#usage = parts.usage
    this.#links = parts.links
    this.#times = parts.times
    this.#now = now
    this.#linked = database.prepare((db, placeholder) =>
      selectBlobs(db)
        .select(['blobs.state', 'blob_links.review_at', 'blob_links.kept_until'])
        .where('blob_links.repository', '=', placeholder('repository'))
        .where('blob_links.digest', '=', placeholder('digest')),
    )
  }

  async findBlob(repository: RepositoryName, digest: Digest, options?: Abortable): Promise<StoredBlob> {
    const key = { repository, digest }
    const row = await this.#database.read(options, db => this.#linked.takeFirst(db, key))
    if (row === undefined) throw unknownBlob(repository, digest)
    if (row.state === 'quarantined') throw damagedBlob(repository, digest)
    if (!(await this.#isKept(key, row, options))) throw unknownBlob(repository, digest)
    return storedBlob(digest, row)
  }

  /** Nobody is told that a blob is there which may go in a moment. What manifests name costs nothing here. */
  async #isKept(key: LinkKey, row: LinkedColumns, options: Abortable | undefined): Promise<boolean> {
    return this.#links.isPromised(row) || this.#database.write(options, db => this.#links.keep(db, key))
  }

  commitBlob(commit: NewBlob, options?: ChangeOptions): Promise<StoredBlob> {
    return this.#database.write(options, async db => {
      const { repository, digest, uploadId } = commit
      const upload = await db
        .selectFrom('uploads')
        .select(['committed', 'holder', 'tail_key'])
        .where('id', '=', uploadId)
        .where('repository', '=', repository)
        .forUpdate()
        .executeTakeFirst()
      if (upload === undefined || (upload.committed !== null && upload.committed !== digest))
        throw unknownUpload(uploadId)
      if (upload.committed === digest) {
        const linked = await this.#linked.takeFirst(db, { repository, digest })
        if (linked?.state !== 'stored' || !(await this.#links.keep(db, { repository, digest })))
          throw unknownBlob(repository, digest)
        return storedBlob(digest, linked)
      }
      if (upload.holder !== commit.holder) throw lostLease(uploadId)

      const now = this.#now()
      const { stored, isNew } = await insertBlob(db, commit, { now, ...this.#times })
      await this.#usage.write(db, repository, await this.#links.add(db, repository, stored, isNew))
      await makeTombstone(db, commit)
      const mine = new Set([commit.objectKey, upload.tail_key])
      mine.delete(stored.objectKey)
      await addGarbage(db, mine, now)
      const facts = { repository, digest, size: stored.size, at: new Date(now), by: options?.by }
      await this.#events.write(db, [{ kind: 'blob', action: 'push', ...facts }])
      return stored
    })
  }

  linkBlob({ repository, from, digest }: NewBlobLink, options?: ChangeOptions): Promise<StoredBlob> {
    return this.#database.write(options, async db => {
      const row =
        from === undefined
          ? await selectBlobs(db)
              .select('blobs.state')
              .where('blob_links.digest', '=', digest)
              .limit(1)
              .executeTakeFirst()
          : await this.#linked.takeFirst(db, { repository: from, digest })
      if (row?.state !== 'stored') throw unknownBlob(from ?? repository, digest)
      const now = this.#now()
      const stored = storedBlob(digest, row)
      await this.#usage.write(db, repository, await this.#links.add(db, repository, stored, false))
      const facts = { repository, digest, size: row.size, from, at: new Date(now), by: options?.by }
      await this.#events.write(db, [{ kind: 'blob', action: 'mount', ...facts }])
      return stored
    })
  }

  async unlinkBlob(repository: RepositoryName, digest: Digest, options?: ChangeOptions): Promise<void> {
    await this.#database.write(options, async db => {
      if (!(await lockRepository(db, repository))) throw unknownBlob(repository, digest)
      const named = await db
        .selectFrom('manifest_references')
        .select('manifest')
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .executeTakeFirst()
      if (named !== undefined)
        throw new DomainError(
          'conflict',
          `The blob ${digest} is part of the manifest ${named.manifest} in ${repository}; delete that first.`,
          { resource: 'blob', name: digest },
        )
      const [taken] = await this.#links.takeAway(db, repository, [digest])
      if (taken === undefined) throw unknownBlob(repository, digest)
      const facts = { repository, digest, size: taken.size, at: new Date(this.#now()), by: options?.by }
      await this.#events.write(db, [{ kind: 'blob', action: 'delete', ...facts }])
    })
  }

  repositoriesWithBlob(digest: Digest, limit: number, options?: BlobSearch): Promise<RepositoryName[]> {
    const { viewer, below: prefix } = options ?? {}
    return this.#database.read(options, async db => {
      if (await isQuarantined(db, digest)) return []
      if (viewer !== undefined) return visibleRepositoriesWithBlob(db, viewer, digest, limit)
      const rows = await db
        .selectFrom('blob_links')
        .select('repository')
        .where('digest', '=', digest)
        .where(isSeen(sql.ref('blob_links.repository')))
        .where(prefix === undefined ? sql<boolean>`true` : below('repository', prefix))
        .orderBy('repository')
        .limit(limit)
        .execute()
      return rows.map(row => row.repository)
    })
  }
}

type ObjectColumns = Pick<BlobRow, 'size' | 'object_key'>

type LinkedColumns = ObjectColumns & Pick<BlobRow, 'state'> & Pick<BlobLinkRow, 'review_at' | 'kept_until'>

function selectBlobs(db: Kysely<Schema>) {
  return db
    .selectFrom('blob_links')
    .innerJoin('blobs', 'blobs.digest', 'blob_links.digest')
    .select(['blobs.size', 'blobs.object_key'])
    .where(isSeen(sql.ref('blob_links.repository')))
}

function storedBlob(digest: Digest, { size, object_key: objectKey }: ObjectColumns): StoredBlob {
  return { digest, size, objectKey }
}

/** Nobody has a place for such bytes that could be linked, or mounted from. */
async function isQuarantined(db: Kysely<Schema>, digest: Digest): Promise<boolean> {
  const fault = await db
    .selectFrom('blob_faults')
    .select('digest')
    .where('digest', '=', digest)
    .executeTakeFirst()
  return fault !== undefined
}

/**
 * The blob that is known afterwards, and stays until the transaction ends: this one, or the one that came earlier. One
 * that is quarantined is this one from now on.
 */
export async function insertBlob(
  db: Transaction<Schema>,
  { digest, objectKey, size }: StoredBlob,
  times: HealTimes,
): Promise<{ stored: StoredBlob; isNew: boolean }> {
  for (;;) {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('blobs')
      .values({ digest, object_key: objectKey, size, state: 'stored', created_at: times.now })
      .onConflict(conflict => conflict.column('digest').doNothing())
      .executeTakeFirstOrThrow()
    if (numInsertedOrUpdatedRows === 1n) return { stored: { digest, objectKey, size }, isNew: true }
    const row = await db
      .selectFrom('blobs')
      .select(['size', 'object_key', 'state'])
      .where('digest', '=', digest)
      .forKeyShare()
      .executeTakeFirst()
    if (row?.state === 'quarantined') {
      if (await heal(db, digest, { key: objectKey, size }, times))
        return { stored: { digest, objectKey, size }, isNew: false }
      continue
    }
    // Its last link may just have gone.
    if (row !== undefined) return { stored: storedBlob(digest, row), isNew: false }
  }
}

async function makeTombstone(db: Transaction<Schema>, { uploadId, digest }: NewBlob): Promise<void> {
  await db
    .updateTable('uploads')
    .set({
      committed: digest,
      multipart_token: null,
      parts: '[]',
      tail_key: null,
      tail_size: null,
      // Its holder is alive and has written nothing under it, or it would have been given up.
      next_tail_key: null,
      hash_state: null,
      holder: null,
      lease_until: null,
    })
    .where('id', '=', uploadId)
    .execute()
}

/** Told only to those who may pull from the repository, which has the blob. */
function damagedBlob(repository: RepositoryName, digest: Digest): DomainError {
  return new DomainError(
    'not_found',
    `The blob ${digest} of ${repository} was found damaged in the object store; push it again, which brings it back.`,
    { resource: 'blob', name: digest },
  )
}

function unknownBlob(repository: RepositoryName, digest: Digest): DomainError {
  return new DomainError('not_found', `The repository ${repository} has no blob ${digest}.`, {
    resource: 'blob',
    name: digest,
  })
}

import { type Kysely, sql, type Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import type { Database } from './database.ts'
import type { EventWriter } from './event-writer.ts'
import { addGarbage } from './garbage.ts'
import type { LinkKey, LinkWriter } from './link-writer.ts'
import type { BlobRecords, BlobSearch, NewBlob, NewBlobLink, StoredBlob } from './metadata.ts'
import type { PreparedQuery } from './prepared.ts'
import { lockRepository } from './repositories.ts'
import type { BlobLinkRow, BlobRow, Schema } from './schema.ts'
import { below } from './tenant-range.ts'
import { lostLease, unknownUpload } from './upload-errors.ts'
import type { UsageWriter } from './usage-writer.ts'
import { visibleRepositoriesWithBlob } from './visible-repositories.ts'

export class KyselyBlobs implements BlobRecords {
  readonly #database: Database
  readonly #events: EventWriter
  readonly #usage: UsageWriter
  readonly #links: LinkWriter
  readonly #now: () => number
  readonly #linked: PreparedQuery<LinkKey, LinkedColumns>

  constructor(
    database: Database,
    { events, usage, links }: { events: EventWriter; usage: UsageWriter; links: LinkWriter },
    now: () => number,
  ) {
    this.#database = database
    this.#events = events
    this.#usage = usage
    this.#links = links
    this.#now = now
    this.#linked = database.prepare((db, placeholder) =>
      selectBlobs(db)
        .select(['blob_links.review_at', 'blob_links.kept_until'])
        .where('blob_links.repository', '=', placeholder('repository'))
        .where('blob_links.digest', '=', placeholder('digest')),
    )
  }

  async findBlob(repository: RepositoryName, digest: Digest, options?: Abortable): Promise<StoredBlob> {
    const key = { repository, digest }
    const row = await this.#database.read(options, db => this.#linked.takeFirst(db, key))
    if (row === undefined || !(await this.#isKept(key, row, options))) throw unknownBlob(repository, digest)
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
        if (linked === undefined || !(await this.#links.keep(db, { repository, digest })))
          throw unknownBlob(repository, digest)
        return storedBlob(digest, linked)
      }
      if (upload.holder !== commit.holder) throw lostLease(uploadId)

      const now = this.#now()
      const { stored, isNew } = await insertBlob(db, commit, now)
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
          ? await selectBlobs(db).where('blob_links.digest', '=', digest).limit(1).executeTakeFirst()
          : await this.#linked.takeFirst(db, { repository: from, digest })
      if (row === undefined) throw unknownBlob(from ?? repository, digest)
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
      await lockRepository(db, repository)
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
      if (viewer !== undefined) return visibleRepositoriesWithBlob(db, viewer, digest, limit)
      const rows = await db
        .selectFrom('blob_links')
        .select('repository')
        .where('digest', '=', digest)
        .where(prefix === undefined ? sql<boolean>`true` : below('repository', prefix))
        .orderBy('repository')
        .limit(limit)
        .execute()
      return rows.map(row => row.repository)
    })
  }
}

type ObjectColumns = Pick<BlobRow, 'size' | 'object_key'>

type LinkedColumns = ObjectColumns & Pick<BlobLinkRow, 'review_at' | 'kept_until'>

function selectBlobs(db: Kysely<Schema>) {
  return db
    .selectFrom('blob_links')
    .innerJoin('blobs', 'blobs.digest', 'blob_links.digest')
    .select(['blobs.size', 'blobs.object_key'])
}

function storedBlob(digest: Digest, { size, object_key: objectKey }: ObjectColumns): StoredBlob {
  return { digest, size, objectKey }
}

/** The blob that is known afterwards, and stays until the transaction ends: this one, or the one that came earlier. */
export async function insertBlob(
  db: Transaction<Schema>,
  { digest, objectKey, size }: StoredBlob,
  now: number,
): Promise<{ stored: StoredBlob; isNew: boolean }> {
  for (;;) {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('blobs')
      .values({ digest, object_key: objectKey, size, state: 'stored', created_at: now })
      .onConflict(conflict => conflict.column('digest').doNothing())
      .executeTakeFirstOrThrow()
    if (numInsertedOrUpdatedRows === 1n) return { stored: { digest, objectKey, size }, isNew: true }
    const row = await db
      .selectFrom('blobs')
      .select(['size', 'object_key'])
      .where('digest', '=', digest)
      .forKeyShare()
      .executeTakeFirst()
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

function unknownBlob(repository: RepositoryName, digest: Digest): DomainError {
  return new DomainError('not_found', `The repository ${repository} has no blob ${digest}.`, {
    resource: 'blob',
    name: digest,
  })
}

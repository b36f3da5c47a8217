import { sql } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { ObjectInfo } from '../objects/object-store.ts'
import type { RepositoryName } from '../reference.ts'
import type { StoredBlob } from './blob-records.ts'
import type { Database } from './database.ts'
import { Leases } from './leases.ts'
import { healWithFound, quarantine, selectFaults } from './quarantine.ts'
import { beginPass, savedScrub, scrubStateOf } from './scrub-progress.ts'
import type {
  BlobFault,
  FaultCounts,
  NewBlobFault,
  ScrubbedBlob,
  ScrubLease,
  ScrubProgress,
  ScrubRecords,
  ScrubState,
  StrayCounts,
  StrayObject,
} from './scrub-records.ts'
import { addScrubTotals } from './scrub-totals.ts'
import { addStrays, deleteStrays, discard, strayOf, straysLike, unknownAmong } from './strays.ts'

/** There is one, whatever is looked at. */
const leaseName = 'scrub'

export class KyselyScrub implements ScrubRecords {
  readonly #database: Database
  readonly #keepDamagedMs: number
  readonly #now: () => number
  readonly #leases: Leases

  /** @param keepDamagedMs how long a damaged object stays when another one has taken its place. */
  constructor(database: Database, keepDamagedMs: number, now: () => number) {
    this.#database = database
    this.#keepDamagedMs = keepDamagedMs
    this.#now = now
    this.#leases = new Leases(database, 'scrub', now)
  }

  leaseScrub(lease: ScrubLease, options?: Abortable): Promise<boolean> {
    return this.#leases.take(leaseName, lease, options)
  }

  releaseScrub(holder: string, options?: Abortable): Promise<void> {
    return this.#leases.release(leaseName, holder, options)
  }

  async scrubState(options?: Abortable): Promise<ScrubState> {
    const row = await this.#database.read(options, db =>
      db.selectFrom('scrub_state').selectAll().executeTakeFirstOrThrow(),
    )
    return scrubStateOf(row)
  }

  async requestScrub(takesAll: boolean, options?: Abortable): Promise<void> {
    await this.#database.write(options, db => beginPass(db, takesAll, this.#now()))
  }

  saveScrub(progress: ScrubProgress, options?: Abortable): Promise<boolean> {
    return this.#database.write(options, db => savedScrub(db, progress, this.#now()))
  }

  async listBlobs(after: Digest | undefined, limit: number, options?: Abortable): Promise<ScrubbedBlob[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('blobs')
        .select(['digest', 'size', 'object_key', 'state'])
        .$if(after !== undefined, blobs => (after === undefined ? blobs : blobs.where('digest', '>', after)))
        .orderBy('digest')
        .limit(limit)
        .execute(),
    )
    return rows.map(({ digest, size, object_key: objectKey, state }) => ({
      digest,
      size,
      objectKey,
      isQuarantined: state === 'quarantined',
    }))
  }

  quarantineBlob(fault: NewBlobFault, options?: Abortable): Promise<boolean> {
    return this.#database.write(options, db => quarantine(db, fault, this.#now()))
  }

  healBlob(digest: Digest, object: ObjectInfo, options?: Abortable): Promise<boolean> {
    const times = { now: this.#now(), keepDamagedMs: this.#keepDamagedMs }
    return this.#database.write(options, db => healWithFound(db, digest, object, times))
  }

  listFaults(after: Digest | undefined, limit: number, options?: Abortable): Promise<BlobFault[]> {
    return this.#database.read(options, db => selectFaults(db, { after, limit }))
  }

  async findFault(digest: Digest, options?: Abortable): Promise<BlobFault | undefined> {
    const [fault] = await this.#database.read(options, db => selectFaults(db, { digest }))
    return fault
  }

  async countFaults(options?: Abortable): Promise<FaultCounts> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('blob_faults')
        .select(['kind', sql<number>`count(*)`.as('count')])
        .groupBy('kind')
        .execute(),
    )
    const countOf = (kind: keyof FaultCounts): number => rows.find(row => row.kind === kind)?.count ?? 0
    return { corrupt: countOf('corrupt'), missing: countOf('missing') }
  }

  async faultsOfSize(size: number, limit: number, options?: Abortable): Promise<Digest[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('blob_faults')
        .innerJoin('blobs', 'blobs.digest', 'blob_faults.digest')
        .select('blob_faults.digest')
        .where('blobs.size', '=', size)
        .orderBy('blob_faults.digest')
        .limit(limit)
        .execute(),
    )
    return rows.map(({ digest }) => digest)
  }

  async hasFaults(repository: RepositoryName, options?: Abortable): Promise<boolean> {
    // There are seldom any, so that is asked first, and most who ask have no more to ask.
    const row = await this.#database.read(options, db =>
      db
        .selectFrom('blob_faults')
        .innerJoin('blob_links', 'blob_links.digest', 'blob_faults.digest')
        .select('blob_faults.digest')
        .where('blob_links.repository', '=', repository)
        .limit(1)
        .executeTakeFirst(),
    )
    return row !== undefined
  }

  unknownObjects(keys: readonly ObjectKey[], options?: Abortable): Promise<ReadonlySet<ObjectKey>> {
    return this.#database.read(options, db => unknownAmong(db, keys))
  }

  noteStrays(objects: readonly ObjectInfo[], options?: Abortable): Promise<number> {
    return this.#database.write(options, db => addStrays(db, objects, this.#now()))
  }

  async noteStrayDigest(key: ObjectKey, digest: Digest, options?: Abortable): Promise<void> {
    await this.#database.write(options, async db => {
      const { numUpdatedRows } = await db
        .updateTable('stray_objects')
        .set({ digest })
        .where('object_key', '=', key)
        .where('digest', 'is', null)
        .executeTakeFirstOrThrow()
      if (numUpdatedRows > 0n) await addScrubTotals(db, { strays: 1 })
    })
  }

  async listStrays(after: ObjectKey | undefined, limit: number, options?: Abortable): Promise<StrayObject[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('stray_objects')
        .selectAll()
        .$if(after !== undefined, strays =>
          after === undefined ? strays : strays.where('object_key', '>', after),
        )
        .orderBy('object_key')
        .limit(limit)
        .execute(),
    )
    return rows.map(strayOf)
  }

  async unreadStrays(
    before: Date,
    after: ObjectKey | undefined,
    limit: number,
    options?: Abortable,
  ): Promise<StrayObject[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('stray_objects')
        .selectAll()
        .where('found_at', '<=', before.getTime())
        .where('digest', 'is', null)
        .$if(after !== undefined, strays =>
          after === undefined ? strays : strays.where('object_key', '>', after),
        )
        .orderBy('object_key')
        .limit(limit)
        .execute(),
    )
    return rows.map(strayOf)
  }

  straysFor(
    blob: Pick<StoredBlob, 'digest' | 'size'>,
    limit: number,
    options?: Abortable,
  ): Promise<ObjectInfo[]> {
    return this.#database.read(options, db => straysLike(db, blob, limit))
  }

  async countStrays(options?: Abortable): Promise<StrayCounts> {
    const { objects, bytes } = await this.#database.read(options, db =>
      db
        .selectFrom('stray_objects')
        .select([
          sql<number>`count(*)`.as('objects'),
          sql<number>`coalesce(cast(sum(size) as bigint), 0)`.as('bytes'),
        ])
        .executeTakeFirstOrThrow(),
    )
    return { objects, bytes }
  }

  async forgetStrays(keys: readonly ObjectKey[], options?: Abortable): Promise<void> {
    await this.#database.write(options, db => deleteStrays(db, keys))
  }

  discardStrays(before: Date, limit: number, options?: Abortable): Promise<number> {
    return this.#database.write(options, db => discard(db, before.getTime(), limit, this.#now()))
  }
}

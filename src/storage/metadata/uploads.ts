import type { Kysely } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { UploadId } from '../blobs/blob-store.ts'
import type { RepositoryName } from '../reference.ts'
import { minuteMs } from '../durations.ts'
import { batches } from './batches.ts'
import type { Database } from './database.ts'
import { addGarbage } from './garbage.ts'
import type { UploadRow } from './rows/content.ts'
import type { Schema } from './schema.ts'
import { lostLease, mayContinue, unknownUpload, uploadBusy } from './upload-errors.ts'
import type {
  LeasedUpload,
  NewUpload,
  UploadLease,
  UploadProgress,
  UploadRecord,
  UploadRecords,
} from './upload-records.ts'
import { abandonedKeys, toColumns, toRecord } from './upload-row.ts'

export class KyselyUploads implements UploadRecords {
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
  }

  async createUpload(upload: NewUpload, options?: Abortable): Promise<UploadRecord> {
    const row: UploadRow = {
      id: upload.id,
      repository: upload.repository,
      algorithm: upload.algorithm,
      object_key: upload.objectKey,
      part_size: upload.partSize,
      upload_offset: 0,
      multipart_token: null,
      parts: '[]',
      tail_key: null,
      tail_size: null,
      tail_digest: null,
      next_tail_key: upload.nextTailKey,
      hash_state: null,
      digest_at_offset: null,
      committed: null,
      holder: upload.holder,
      lease_until: upload.leaseUntil.getTime(),
      expires_at: upload.expiresAt.getTime(),
      account: upload.account ?? null,
    }
    await this.#database.write(options, db => db.insertInto('uploads').values(row).execute())
    return toRecord(row)
  }

  async getUpload(repository: RepositoryName, id: UploadId, options?: Abortable): Promise<UploadRecord> {
    const row = await this.#database.read(options, db =>
      selectLive(db, repository, id, this.#now()).executeTakeFirst(),
    )
    if (row === undefined) throw unknownUpload(id)
    return toRecord(row)
  }

  leaseUpload(
    repository: RepositoryName,
    id: UploadId,
    { holder, until, nextTailKey, account, isRenewal = false }: UploadLease,
    options?: Abortable,
  ): Promise<LeasedUpload> {
    return this.#database.write(options, async db => {
      const now = this.#now()
      const row = await selectLive(db, repository, id, now).forUpdate().executeTakeFirst()
      if (row === undefined || !mayContinue(row, account)) throw unknownUpload(id)
      if (isRenewal && row.holder !== holder) throw lostLease(id)
      const isOthers = row.holder !== null && row.holder !== holder
      if (isOthers && isRunning(row.lease_until, now, until)) throw uploadBusy(id)
      const reserved = isOthers ? null : row.next_tail_key
      const leased: UploadRow = {
        ...row,
        holder,
        lease_until: until.getTime(),
        next_tail_key: reserved ?? nextTailKey ?? null,
      }
      await db
        .updateTable('uploads')
        .set({ holder, lease_until: leased.lease_until, next_tail_key: leased.next_tail_key })
        .where('id', '=', id)
        .execute()
      await addGarbage(db, abandonedKeys(row, leased), now)
      return { ...toRecord(leased), isTakenOver: isOthers }
    })
  }

  async saveUpload(
    id: UploadId,
    holder: string,
    progress: UploadProgress,
    options?: Abortable,
  ): Promise<void> {
    await this.#database.write(options, async db => {
      const before = await db
        .selectFrom('uploads')
        .select(['tail_key', 'next_tail_key'])
        .where('id', '=', id)
        .where('holder', '=', holder)
        .forUpdate()
        .executeTakeFirst()
      if (before === undefined) throw lostLease(id)
      const columns = toColumns(progress)
      await db.updateTable('uploads').set(columns).where('id', '=', id).execute()
      await addGarbage(db, abandonedKeys(before, columns), this.#now())
    })
  }

  async releaseUpload(id: UploadId, holder: string, options?: Abortable): Promise<void> {
    await this.#database.write(options, db =>
      db
        .updateTable('uploads')
        .set({ holder: null, lease_until: null })
        .where('id', '=', id)
        .where('holder', '=', holder)
        .execute(),
    )
  }

  async deleteUpload(id: UploadId, options?: Abortable): Promise<void> {
    await this.#database.write(options, db => db.deleteFrom('uploads').where('id', '=', id).execute())
  }

  async expiredUploads(now: Date, limit: number, options?: Abortable): Promise<UploadRecord[]> {
    const rows = await this.#database.read(options, db =>
      selectExpired(db, now).orderBy('expires_at').orderBy('id').limit(limit).execute(),
    )
    return rows.map(toRecord)
  }

  claimExpiredUpload(id: UploadId, now: Date, options?: Abortable): Promise<UploadRecord | undefined> {
    return this.#database.write(options, async db => {
      const row = await selectExpired(db, now).where('id', '=', id).forUpdate().executeTakeFirst()
      if (row === undefined) return undefined
      const claimed = { expires_at: beforeAllClocks, holder: null, lease_until: null }
      await db.updateTable('uploads').set(claimed).where('id', '=', id).execute()
      return toRecord({ ...row, ...claimed })
    })
  }

  async knownMultiparts(tokens: readonly string[], options?: Abortable): Promise<ReadonlySet<string>> {
    options?.signal?.throwIfAborted()
    const known = new Set<string>()
    for (const batch of batches(tokens)) {
      const rows = await this.#database.read(options, db =>
        db.selectFrom('uploads').select('multipart_token').where('multipart_token', 'in', batch).execute(),
      )
      for (const { multipart_token: token } of rows) if (token !== null) known.add(token)
    }
    return known
  }
}

function selectLive(db: Kysely<Schema>, repository: RepositoryName, id: UploadId, now: number) {
  return db
    .selectFrom('uploads')
    .selectAll()
    .where('id', '=', id)
    .where('repository', '=', repository)
    .where('expires_at', '>', now)
}

function selectExpired(db: Kysely<Schema>, now: Date) {
  return db
    .selectFrom('uploads')
    .selectAll()
    .where('expires_at', '<', now.getTime())
    .where(row => row.or([row('lease_until', 'is', null), row('lease_until', '<=', now.getTime())]))
}

const beforeAllClocks = 0

/** By how much a lease may end later than one that is taken now; clocks of replicas do not differ by so much. */
const maxAheadMs = 5 * minuteMs

/**
 * Whether another holder's lease keeps others out. One that ends far later than a new one was given by a clock that was
 * wrong, and would keep them out for as long as it was; whom it is taken from is shut out like anybody who fell silent.
 */
function isRunning(leaseUntil: number | null, now: number, until: Date): boolean {
  return leaseUntil !== null && leaseUntil > now && leaseUntil <= Math.max(until.getTime(), now) + maxAheadMs
}

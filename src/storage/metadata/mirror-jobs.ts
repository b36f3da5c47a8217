import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Tag } from '../reference.ts'
import type { Database } from './database.ts'
import type { EventWriter } from './event-writer.ts'
import { Leases } from './leases.ts'
import type {
  MirroredTag,
  MirrorJobName,
  MirrorJobRecords,
  MirrorLease,
  MirrorWish,
  StoredMirrorJob,
} from './mirror-records.ts'
import { plainText } from './mirror-row.ts'
import { MirrorRunEnds } from './mirror-run-ends.ts'
import type { Page } from './page.ts'
import { assertStorable, storablePrefix } from './storable-text.ts'

export class KyselyMirrorJobs implements MirrorJobRecords {
  readonly #database: Database
  readonly #leases: Leases
  readonly #ends: MirrorRunEnds
  readonly #now: () => number

  constructor(database: Database, { events }: { readonly events: EventWriter }, now: () => number) {
    this.#database = database
    this.#ends = new MirrorRunEnds(events)
    this.#now = now
    this.#leases = new Leases(database, 'mirror-job', now)
  }

  async putMirrorJob({ name, definition, updatedAt }: StoredMirrorJob, options?: Abortable): Promise<void> {
    assertStorable({ resource: 'mirror', name }, name, definition)
    const columns = { definition, updated_at: updatedAt.getTime() }
    await this.#database.write(options, db =>
      db
        .insertInto('mirror_jobs')
        .values({ name, ...columns })
        .onConflict(conflict => conflict.column('name').doUpdateSet(columns))
        .execute(),
    )
  }

  async listMirrorJobs({ limit, after = '' }: Page, options?: Abortable): Promise<StoredMirrorJob[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('mirror_jobs')
        .selectAll()
        // A name begins as `after` does, or comes later; it need not be one.
        .where('name', '>', storablePrefix(after) as MirrorJobName)
        .orderBy('name')
        .limit(limit)
        .execute(),
    )
    return rows.map(({ name, definition, updated_at }) => ({
      name,
      definition,
      updatedAt: new Date(updated_at),
    }))
  }

  async deleteMirrorJob(name: MirrorJobName, options?: Abortable): Promise<void> {
    await this.#database.write(options, async db => {
      const { numDeletedRows } = await db
        .deleteFrom('mirror_jobs')
        .where('name', '=', name)
        .executeTakeFirstOrThrow()
      if (numDeletedRows === 0n)
        throw new DomainError('not_found', `There is no mirror job ${name} that administration has made.`, {
          resource: 'mirror',
          name,
        })
      await db.deleteFrom('mirror_wishes').where('job', '=', name).execute()
      // Whoever was told that it has begun is told that it has ended.
      await this.#ends.endAll(db, name, {
        outcome: 'stopped',
        reason: 'The job was deleted.',
        endedAt: this.#now(),
      })
      await db.deleteFrom('mirror_runs').where('job', '=', name).execute()
      await db.deleteFrom('mirror_tags').where('job', '=', name).execute()
    })
  }

  async wishMirrorRun(
    job: MirrorJobName,
    { trigger, at, by }: MirrorWish,
    options?: Abortable,
  ): Promise<void> {
    const requester = by === null ? null : plainText(by)
    await this.#database.write(options, db =>
      db
        .insertInto('mirror_wishes')
        .values({ job, trigger, requester, at: at.getTime() })
        .onConflict(conflict => conflict.column('job').doNothing())
        .execute(),
    )
  }

  async listMirrorWishes(
    options?: Abortable,
  ): Promise<{ readonly job: MirrorJobName; readonly wish: MirrorWish }[]> {
    const rows = await this.#database.read(options, db =>
      db.selectFrom('mirror_wishes').selectAll().orderBy('at').orderBy('job').execute(),
    )
    return rows.map(({ job, trigger, requester, at }) => ({
      job,
      wish: { trigger, by: requester, at: new Date(at) },
    }))
  }

  leaseMirrorJob(job: MirrorJobName, lease: MirrorLease, options?: Abortable): Promise<boolean> {
    return this.#leases.take(job, lease, options)
  }

  releaseMirrorJob(job: MirrorJobName, holder: string, options?: Abortable): Promise<void> {
    return this.#leases.release(job, holder, options)
  }

  isMirrorJobLeased(job: MirrorJobName, options?: Abortable): Promise<boolean> {
    return this.#leases.isHeld(job, options)
  }

  async findMirroredTag(
    job: MirrorJobName,
    target: string,
    tag: Tag,
    options?: Abortable,
  ): Promise<MirroredTag | undefined> {
    const row = await this.#database.read(options, db =>
      db
        .selectFrom('mirror_tags')
        .select(['digest', 'stored', 'referrers_at', 'scope'])
        .where('job', '=', job)
        .where('target', '=', target)
        .where('tag', '=', tag)
        .executeTakeFirst(),
    )
    return (
      row && {
        digest: row.digest,
        ...(row.stored !== null && { stored: row.stored }),
        referrersAt: new Date(row.referrers_at),
        ...(row.scope !== null && { scope: row.scope }),
      }
    )
  }

  async noteMirroredTag(
    job: MirrorJobName,
    target: string,
    tag: Tag,
    { digest, stored, referrersAt, scope }: MirroredTag,
    options?: Abortable,
  ): Promise<void> {
    const columns = {
      digest,
      stored: stored ?? null,
      referrers_at: referrersAt.getTime(),
      scope: scope ?? null,
    }
    await this.#database.write(options, db =>
      db
        .insertInto('mirror_tags')
        .values({ job, target, tag, ...columns })
        .onConflict(conflict => conflict.columns(['job', 'target', 'tag']).doUpdateSet(columns))
        .execute(),
    )
  }
}

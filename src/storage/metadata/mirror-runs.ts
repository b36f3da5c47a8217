import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { batches } from './batches.ts'
import type { Database } from './database.ts'
import type { EventWriter } from './event-writer.ts'
import type {
  MirrorJobName,
  MirrorProgress,
  MirrorResult,
  MirrorResultPage,
  MirrorRun,
  MirrorRunFilter,
  MirrorRunId,
  MirrorRunRecords,
  NewMirrorRun,
  NumberedMirrorResult,
} from './mirror-records.ts'
import { MirrorRunEnds, startEvent } from './mirror-run-ends.ts'
import { plainText, toResult, toResultRow, toRun, toRunRow } from './mirror-row.ts'
import type { Schema } from './schema.ts'

export class KyselyMirrorRuns implements MirrorRunRecords {
  readonly #database: Database
  readonly #ends: MirrorRunEnds
  readonly #events: EventWriter
  readonly #now: () => number

  constructor(database: Database, { events }: { readonly events: EventWriter }, now: () => number) {
    this.#database = database
    this.#ends = new MirrorRunEnds(events)
    this.#events = events
    this.#now = now
  }

  async beginMirrorRun(run: NewMirrorRun, options?: Abortable): Promise<void> {
    await this.#database.write(options, async db => {
      await lockWish(db, run)
      await this.#ends.endAll(db, run.job, {
        outcome: 'interrupted',
        reason: 'The process that ran it is gone.',
        endedAt: this.#now(),
      })
      await db.insertInto('mirror_runs').values(toRunRow(run)).execute()
      await db.deleteFrom('mirror_wishes').where('job', '=', run.job).execute()
      await this.#events.write(db, [startEvent(run)])
    })
  }

  async saveMirrorRun(id: MirrorRunId, progress: MirrorProgress, options?: Abortable): Promise<void> {
    const { totals, outcome, reason, endedAt, resumeAt } = progress
    await this.#database.write(options, async db => {
      const before = await db
        .selectFrom('mirror_runs')
        .selectAll()
        .where('id', '=', id)
        .forUpdate()
        .executeTakeFirst()
      if (before === undefined) throw unknownRun(id)
      if (before.outcome !== null && before.outcome !== outcome) throw hasEnded(id, before.outcome)
      const ended = endedAt?.getTime() ?? this.#now()
      await db
        .updateTable('mirror_runs')
        .set({
          totals: JSON.stringify(totals),
          outcome: outcome ?? null,
          reason: reason === undefined ? null : plainText(reason),
          ended_at: outcome === undefined ? null : ended,
          resume_at: resumeAt?.getTime() ?? null,
        })
        .where('id', '=', id)
        .execute()
      if (outcome === undefined || before.outcome !== null) return
      await this.#ends.tell(db, [{ ...toRun(before), totals, outcome, reason, endedAt: new Date(ended) }])
    })
  }

  async getMirrorRun(id: MirrorRunId, options?: Abortable): Promise<MirrorRun> {
    const row = await this.#database.read(options, db =>
      db.selectFrom('mirror_runs').selectAll().where('id', '=', id).executeTakeFirst(),
    )
    if (row === undefined) throw unknownRun(id)
    return toRun(row)
  }

  async listMirrorRuns({ job, limit, before }: MirrorRunFilter, options?: Abortable): Promise<MirrorRun[]> {
    const rows = await this.#database.read(options, db => {
      let query = db.selectFrom('mirror_runs').selectAll()
      if (job !== undefined) query = query.where('job', '=', job)
      if (before !== undefined)
        query = query.where('serial', '<', older =>
          older.selectFrom('mirror_runs').select('serial').where('id', '=', before),
        )
      return query.orderBy('serial', 'desc').limit(limit).execute()
    })
    return rows.map(toRun)
  }

  async addMirrorResults(
    id: MirrorRunId,
    results: readonly MirrorResult[],
    options?: Abortable,
  ): Promise<void> {
    options?.signal?.throwIfAborted()
    if (results.length === 0) return
    const rows = results.map(result => toResultRow(id, result))
    await this.#database.write(options, async db => {
      const run = await db
        .selectFrom('mirror_runs')
        .select('id')
        .where('id', '=', id)
        .forKeyShare()
        .executeTakeFirst()
      if (run === undefined) throw unknownRun(id)
      for (const batch of batches(rows)) await db.insertInto('mirror_results').values(batch).execute()
    })
  }

  async listMirrorResults(
    id: MirrorRunId,
    { limit, after = 0, outcomes }: MirrorResultPage,
    options?: Abortable,
  ): Promise<NumberedMirrorResult[]> {
    options?.signal?.throwIfAborted()
    if (outcomes?.length === 0) return []
    const rows = await this.#database.read(options, db => {
      let query = db
        .selectFrom('mirror_results')
        .selectAll()
        .where('run', '=', id)
        .where('serial', '>', after)
      if (outcomes !== undefined) query = query.where('outcome', 'in', outcomes)
      return query.orderBy('serial').limit(limit).execute()
    })
    return rows.map(toResult)
  }

  async deleteMirrorRuns(before: Date, limit: number, options?: Abortable): Promise<number> {
    const { numDeletedRows } = await this.#database.write(options, db =>
      db
        .deleteFrom('mirror_runs')
        .where('serial', 'in', old =>
          old
            .selectFrom('mirror_runs as run')
            .select('run.serial')
            .where('run.ended_at', '<', before.getTime())
            .where(run =>
              run.exists(
                run
                  .selectFrom('mirror_runs as newer')
                  .select('newer.serial')
                  .whereRef('newer.job', '=', 'run.job')
                  .whereRef('newer.serial', '>', 'run.serial'),
              ),
            )
            .orderBy('run.ended_at')
            .orderBy('run.serial')
            .limit(limit),
        )
        .executeTakeFirstOrThrow(),
    )
    return Number(numDeletedRows)
  }
}

/** Of two that begin a run of one job, one waits for the other, also where nobody has wished anything. */
async function lockWish(
  db: Transaction<Schema>,
  { job, startedAt }: { readonly job: MirrorJobName; readonly startedAt: Date },
): Promise<void> {
  await db
    .insertInto('mirror_wishes')
    .values({ job, trigger: 'api', requester: null, at: startedAt.getTime() })
    .onConflict(conflict => conflict.column('job').doUpdateSet({ job }))
    .execute()
}

function unknownRun(id: MirrorRunId): DomainError {
  return new DomainError('not_found', `There is no run ${id} of a mirror job (any more).`, {
    resource: 'mirror',
    name: id,
  })
}

function hasEnded(id: MirrorRunId, outcome: string): DomainError {
  return new DomainError('conflict', `The run ${id} has ended already: ${outcome}.`, {
    resource: 'mirror',
    name: id,
  })
}

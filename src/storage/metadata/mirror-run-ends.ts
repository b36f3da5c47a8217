import type { Transaction } from 'kysely'
import type { NewContentEvent, NewEvent } from './event-records.ts'
import type { EventWriter } from './event-writer.ts'
import type { MirrorJobName, MirrorOutcome, MirrorRun, NewMirrorRun } from './mirror-records.ts'
import { plainText, toRun } from './mirror-row.ts'
import type { Schema } from './schema.ts'

type NewRunEvent = Exclude<NewEvent, NewContentEvent>

/** A run that has ended in this transaction. */
type EndedRun = MirrorRun & { readonly outcome: MirrorOutcome; readonly endedAt: Date }

/** Tells of runs that end, in the transaction that ends them. */
export class MirrorRunEnds {
  readonly #events: EventWriter

  constructor(events: EventWriter) {
    this.#events = events
  }

  /** Ends what never ended of a job. @param end.endedAt milliseconds since 1970. */
  async endAll(
    db: Transaction<Schema>,
    job: MirrorJobName,
    { outcome, reason, endedAt }: { outcome: MirrorOutcome; reason: string; endedAt: number },
  ): Promise<void> {
    const rows = await db
      .updateTable('mirror_runs')
      .set({ outcome, reason, ended_at: endedAt, resume_at: null })
      .where('job', '=', job)
      .where('outcome', 'is', null)
      .returningAll()
      .execute()
    await this.tell(
      db,
      rows.map(row => ({ ...toRun(row), outcome, endedAt: new Date(endedAt) })),
    )
  }

  /** Of runs of one job, when their rows have been written. */
  async tell(db: Transaction<Schema>, runs: readonly EndedRun[]): Promise<void> {
    const [first] = runs
    if (first === undefined) return
    const { at } = await db
      .selectFrom('mirror_runs')
      .select(({ fn }) => fn.max('ended_at').as('at'))
      .where('job', '=', first.job)
      .where('outcome', '=', 'ok')
      .executeTakeFirstOrThrow()
    const lastSuccessAt = at === null ? undefined : new Date(at)
    await this.#events.write(
      db,
      runs.map(run => endEvent(run, lastSuccessAt)),
    )
  }
}

export function startEvent(run: NewMirrorRun): NewRunEvent {
  return { ...factsOf(run), action: 'start', at: run.startedAt }
}

function endEvent(run: EndedRun, lastSuccessAt: Date | undefined): NewRunEvent {
  const { startedAt, outcome, reason, totals, endedAt } = run
  return {
    ...factsOf(run),
    action: 'end',
    startedAt,
    outcome,
    ...(reason === undefined ? {} : { reason: plainText(reason) }),
    totals,
    lastSuccessAt,
    at: endedAt,
  }
}

function factsOf({ id, job, trigger, by }: NewMirrorRun) {
  return { kind: 'mirror', job, run: id, trigger, wishedBy: by === null ? null : plainText(by) } as const
}

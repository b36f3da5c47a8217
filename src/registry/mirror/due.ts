import type { MirrorRun, MirrorTrigger, MirrorWish } from '../../storage/metadata/mirror-records.ts'
import { isFarAhead } from '../is-passed.ts'
import type { KnownJob } from './mirror-jobs.ts'
import { nextScheduled } from './schedule.ts'

/** What decides whether a job begins. */
export interface JobState extends KnownJob {
  /** The newest run, however it is. */
  readonly last: MirrorRun | undefined
  readonly wish: MirrorWish | undefined
  /** Since when this process knows the job. */
  readonly knownSince: Date
}

/** Why a run begins. */
export interface Beginning {
  readonly trigger: MirrorTrigger
  readonly by: string | null
}

/**
 * Whether a run begins now, for whoever gets the lease: because the last one never ended (then its process has died), because
 * somebody wishes it, or because a time of the schedule has passed since the last one began. A job that was missed
 * several times begins once. One that is disabled begins only when somebody wishes it.
 *
 * @param jitterMs how much later than the schedule says.
 */
export function beginningOf(state: JobState, now: Date, jitterMs: number): Beginning | undefined {
  const { job, last, wish } = state
  if (wish !== undefined) return { trigger: wish.trigger, by: wish.by }
  if (!job.enabled) return undefined
  if (last !== undefined && last.outcome === undefined) return { trigger: last.trigger, by: last.by }
  const next = nextStart(state, now)
  if (next === undefined || next.getTime() + jitterMs > now.getTime()) return undefined
  return { trigger: 'schedule', by: null }
}

/**
 * When the schedule wants the job next, without jitter; in the past for one that was missed. Undefined: never. What is said
 * to have been far in the future was said by a clock that was wrong, and does not count: else the job would wait for it.
 */
export function nextStart({ job, last, knownSince, updatedAt }: JobState, now: Date): Date | undefined {
  if (!job.enabled) return undefined
  // A schedule that is new does not ask for what was before it.
  const since = last === undefined ? knownSince : latestOf([last.startedAt, updatedAt], now)
  return nextScheduled(job.schedule, since ?? knownSince)
}

/** Of those that can be believed. */
function latestOf(moments: readonly (Date | null)[], now: Date): Date | undefined {
  return moments
    .filter(moment => moment !== null)
    .filter(moment => !isFarAhead(moment, now.getTime()))
    .reduce<Date | undefined>(
      (latest, moment) => (latest === undefined || moment > latest ? moment : latest),
      undefined,
    )
}

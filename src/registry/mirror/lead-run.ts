import { isAbort, isDomainError, primaryOf } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { MirrorJob } from '../../mirror-job.ts'
import type { MirrorMetrics } from '../../metrics/mirror-metrics.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { CopyImage } from '../../storage/images/copy-image.ts'
import type {
  MirrorJobName,
  MirrorOutcome,
  MirrorRecords,
  MirrorRun,
  MirrorTotals,
  NewMirrorRun,
} from '../../storage/metadata/mirror-records.ts'
import { noTotals } from '../../storage/metadata/mirror-row.ts'
import type { CreationTimes } from './creation-times.ts'
import type { Beginning } from './due.ts'
import { measuredTraffic, type OpenJobEnds } from './job-ends.ts'
import { JobLease } from './job-lease.ts'
import { newMirrorRunId, parseMirrorJobName } from './job-name.ts'
import { MirrorTraffic } from './mirror-traffic.ts'
import { observers } from './observers.ts'
import type { MirrorObserver, MirrorRunEnd, RunMirrorJob } from './run-job.ts'
import { logging, measuring, tellEnd } from './run-told.ts'
import { waitUntil } from './wait-until.ts'
import { notBefore } from './window.ts'

/** What runs jobs, whoever wishes it. */
export interface LeadParts {
  readonly records: MirrorRecords
  /** Different for each process. */
  readonly holder: string
  readonly leaseMs: number
  readonly open: OpenJobEnds
  readonly runMirrorJob: RunMirrorJob
  readonly copyImage: CopyImage
  readonly creationTimes: CreationTimes
  readonly metrics: MirrorMetrics
  readonly log: Logger
}

export interface LeadOptions extends Abortable {
  /** Why it begins; asked once the lease is taken. Undefined: not any more, for another has just run it. */
  readonly beginning: (options: Abortable) => Promise<Beginning | undefined>
  readonly observer?: MirrorObserver | undefined
  /** Told which run it is before it does anything. */
  readonly onBegun?: ((run: NewMirrorRun) => void) | undefined
  /** Told that it was stopped, before that is recorded: what is recorded as stopped is nobody's any more. Must not fail. */
  readonly onStopped?: ((run: NewMirrorRun) => Promise<void>) | undefined
}

/** A run that has ended, as it is recorded. */
export interface LedRun extends MirrorRunEnd {
  readonly run: NewMirrorRun
  /** Whether another process has taken the job over: then the run is that one's to record. */
  readonly isLost: boolean
}

/** How long a run that was stopped tries to say so. */
const lastSaveMs = 5_000

/**
 * Runs a job once, as the only one of all processes.
 * @returns undefined while another leads it, or when there is no reason to run any more.
 * @throws DomainError `unavailable` for a database that does not answer before it has begun; an abort before that.
 */
export async function leadRun(
  job: MirrorJob,
  parts: LeadParts,
  { beginning, observer, onBegun, onStopped, signal }: LeadOptions,
): Promise<LedRun | undefined> {
  const name = parseMirrorJobName(job.name)
  await using lease = await JobLease.take({ ...parts, job: name }, { signal })
  if (lease === undefined) return undefined
  const why = await beginning({ signal })
  if (why === undefined) return undefined
  const run = await begin(name, why, parts, { signal })
  onBegun?.(run)
  const stop = signal === undefined ? lease.lost : AbortSignal.any([signal, lease.lost])
  parts.metrics.state(name, 'running')
  try {
    const end = await runUntilEnd(job, run, parts, observer, stop)
    const isLost = lease.lost.aborted
    if (!isLost && end.outcome === 'stopped') await onStopped?.(run)
    if (!isLost) await record(run, end, parts)
    tellEnd(run, end, isLost, parts)
    return { ...end, run, isLost }
  } finally {
    parts.metrics.state(name, 'idle')
  }
}

async function begin(
  job: MirrorJobName,
  { trigger, by }: Beginning,
  { records, log }: LeadParts,
  options: Abortable,
): Promise<NewMirrorRun> {
  const startedAt = new Date()
  const run: NewMirrorRun = { id: newMirrorRunId(startedAt), job, trigger, by, startedAt }
  await records.beginMirrorRun(run, options)
  log.info({ job, run: run.id, trigger, by }, 'mirror run has begun')
  return run
}

/** Whatever happens is how it ends. */
async function runUntilEnd(
  job: MirrorJob,
  run: NewMirrorRun,
  parts: LeadParts,
  observer: MirrorObserver | undefined,
  signal: AbortSignal,
): Promise<MirrorRunEnd> {
  const { records, metrics, log } = parts
  let totals = noTotals
  const keepTotals: MirrorObserver = {
    totals: now => {
      totals = now
    },
  }
  try {
    const traffic = new MirrorTraffic(measuredTraffic(job, metrics))
    const { source, target } = await parts.open(job, traffic)
    const withQuota = (given: MirrorTotals): MirrorTotals => ({
      ...given,
      pullsLeft: source.pullQuota?.remaining,
    })
    const end = await parts.runMirrorJob(job, {
      source,
      target,
      traffic,
      records: {
        findMirroredTag: (...args) => records.findMirroredTag(...args),
        noteMirroredTag: (...args) => records.noteMirroredTag(...args),
        addMirrorResults: (...args) => records.addMirrorResults(...args),
        saveMirrorRun: async (id, progress, options) =>
          await records.saveMirrorRun(id, { ...progress, totals: withQuota(progress.totals) }, options),
      },
      run: run.id,
      copyImage: parts.copyImage,
      creationTimes: parts.creationTimes,
      pause: async (until, _reason, options) => await waitUntil(until, options),
      notBefore: now => notBefore(job.schedule, now),
      progress: observers(keepTotals, measuring(run, metrics), logging(run, log), observer),
      log,
      signal,
    })
    return { ...end, totals: withQuota(end.totals) }
  } catch (failure) {
    const error = primaryOf(failure)
    if (signal.aborted && isAbort(error)) return { totals, outcome: 'stopped', reason: stopped }
    if (isDomainError(error)) return { totals, outcome: 'failed', reason: error.message }
    log.error({ job: run.job, run: run.id, error }, 'mirror run has met an unexpected error')
    return { totals, outcome: 'failed', reason: "An unexpected error, which is in the registry's log." }
  }
}

const stopped = 'It was stopped.'

/** Also when everything ends: then somebody has to know how far it came. */
async function record(run: NewMirrorRun, end: MirrorRunEnd, { records, log }: LeadParts): Promise<void> {
  const { totals, outcome, reason } = end
  try {
    await records.saveMirrorRun(
      run.id,
      { totals, outcome, reason, endedAt: new Date() },
      { signal: AbortSignal.timeout(lastSaveMs) },
    )
  } catch (error) {
    // Deleted with its job, or ended by another that took it for dead.
    if (isDomainError(error, 'not_found', 'conflict')) return
    // Whoever leads the job next finds a run that has not ended, and begins it again.
    log.warn({ job: run.job, run: run.id, error }, 'the end of a mirror run could not be recorded')
  }
}

/** What a run is doing, or how it ended. */
export function stateOf(run: Pick<MirrorRun, 'outcome' | 'resumeAt'>): MirrorOutcome | 'running' {
  return run.outcome ?? (run.resumeAt === undefined ? 'running' : 'paused')
}

import type { Logger } from '../../log.ts'
import type { MirrorMetrics } from '../../metrics/mirror-metrics.ts'
import type { NewMirrorRun } from '../../storage/metadata/mirror-records.ts'
import type { MirrorObserver, MirrorRunEnd } from './run-job.ts'

/** Who is told of runs while they go on, beside the records. */
export interface RunWitnesses {
  readonly metrics: MirrorMetrics
  readonly log: Logger
}

/** Failures that are logged one by one; all are recorded. */
const maxLogged = 100

/** @param isLost whether another process leads the job by now, and tells of the run itself. */
export function tellEnd(
  run: NewMirrorRun,
  end: MirrorRunEnd,
  isLost: boolean,
  { metrics, log }: RunWitnesses,
): void {
  const { totals, outcome, reason } = end
  const ms = Date.now() - run.startedAt.getTime()
  const facts = { job: run.job, run: run.id, outcome, reason, ms, ...totals }
  if (isLost) {
    log.warn(facts, 'mirror run was stopped, for another process leads its job now')
    return
  }
  metrics.ended(run.job, outcome)
  if (outcome === 'ok') metrics.succeeded(run.job, new Date())
  if (outcome === 'failed' || outcome === 'partial') log.warn(facts, 'mirror run has ended')
  else log.info(facts, 'mirror run has ended')
}

/** Counts what becomes of tags, and shows whether the run waits. */
export function measuring({ job }: NewMirrorRun, metrics: MirrorMetrics): MirrorObserver {
  return {
    done: ({ tag, outcome }) => {
      if (tag !== null || outcome === 'failed') metrics.tag(job, outcome)
    },
    paused: () => metrics.state(job, 'paused'),
    resumed: () => metrics.state(job, 'running'),
  }
}

export function logging({ job, id }: NewMirrorRun, log: Logger): MirrorObserver {
  let failures = 0
  return {
    done: ({ source, target, tag, outcome, reason }) => {
      if (outcome !== 'failed') return
      failures += 1
      if (failures <= maxLogged) log.warn({ job, run: id, source, target, tag, reason }, 'not mirrored')
    },
    paused: (until, reason) => log.info({ job, run: id, until, reason }, 'mirror run is paused'),
    resumed: () => log.info({ job, run: id }, 'mirror run goes on'),
  }
}

import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import { createMirrorMetrics, type MirrorMetrics } from '../../metrics/mirror-metrics.ts'
import { CreationTimes } from '../../registry/mirror/creation-times.ts'
import type { LeadParts } from '../../registry/mirror/lead-run.ts'
import { MirrorRunner } from '../../registry/mirror/runner.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { dayMs } from '../../storage/durations.ts'
import type { MirrorRunRecords } from '../../storage/metadata/mirror-records.ts'
import { every } from './hourly.ts'
import { openMirrorEnds } from './mirror-ends.ts'
import { openMirrorJobs } from './mirror-jobs.ts'
import type { Stores } from './stores.ts'

/** How long the lease of a job runs whose process has died. */
const leaseMs = 60_000

export interface RunningMirrors extends AsyncDisposable {
  readonly metrics: MirrorMetrics
  /** Somebody in this process wishes that a job runs. */
  wake(): void
}

/**
 * Runs mirror jobs, in one process of each machine; those of several machines take turns.
 * @throws DomainError `invalid` for a job that does not fit the rest of the configuration.
 */
export function startMirrors(config: Config, stores: Stores, log: Logger): RunningMirrors {
  const jobs = openMirrorJobs(config, stores.metadata, log)
  const stack = new AsyncDisposableStack()
  const parts = openLeadParts(config, stores, log, stack)
  stack.use(deleteOldRuns(stores.metadata, config.mirror.keepRunsDays, log))
  const runner = stack.use(
    new MirrorRunner({
      ...parts,
      jobs,
      jobsAtOnce: config.mirror.jobsAtOnce,
    }),
  )
  return {
    metrics: parts.metrics,
    wake: () => runner.wake(),
    [Symbol.asyncDispose]: async () => await stack.disposeAsync(),
  }
}

/** @param stack connections to registries elsewhere end with it. */
export function openLeadParts(
  config: Config,
  stores: Stores,
  log: Logger,
  stack: AsyncDisposableStack,
): LeadParts {
  return {
    records: stores.metadata,
    holder: `${hostname()} ${process.pid} ${randomUUID()}`,
    leaseMs,
    open: openMirrorEnds(config, stores, stack),
    // What a run needs takes long to load, and most registries have no job.
    runMirrorJob: async (...args) => {
      const { runMirrorJob } = await import('../../registry/mirror/run-mirror-job.ts')
      return await runMirrorJob(...args)
    },
    copyImage: async (...args) => {
      const { copyImage } = await import('../../storage/images/copy-image.ts')
      return await copyImage(...args)
    },
    creationTimes: new CreationTimes(),
    metrics: createMirrorMetrics(),
    log,
  }
}

/** Runs that are deleted in one transaction: each may have thousands of results. */
const batchSize = 20

/** Forgets runs that ended before so many days: now and every day. */
function deleteOldRuns(
  records: Pick<MirrorRunRecords, 'deleteMirrorRuns'>,
  days: number,
  log: Logger,
): AsyncDisposable {
  return every(
    dayMs,
    async options => {
      const deleted = await deleteAll(records, new Date(Date.now() - days * dayMs), options)
      if (deleted > 0) log.info({ deleted }, 'old runs of mirror jobs deleted')
    },
    error => log.error({ error }, 'old runs of mirror jobs could not be deleted'),
  )
}

async function deleteAll(
  records: Pick<MirrorRunRecords, 'deleteMirrorRuns'>,
  before: Date,
  options: Abortable,
): Promise<number> {
  for (let total = 0; ; ) {
    const deleted = await records.deleteMirrorRuns(before, batchSize, options)
    total += deleted
    if (deleted < batchSize) return total
  }
}

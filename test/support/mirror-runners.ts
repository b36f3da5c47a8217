import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type MirrorJob, mirrorJobSchema } from '../../src/mirror-job.ts'
import { createMirrorMetrics, type MirrorMetrics } from '../../src/metrics/mirror-metrics.ts'
import { CreationTimes } from '../../src/registry/mirror/creation-times.ts'
import type { LeadParts } from '../../src/registry/mirror/lead-run.ts'
import { MirrorJobs } from '../../src/registry/mirror/mirror-jobs.ts'
import type { MirrorRunContext, MirrorRunEnd } from '../../src/registry/mirror/run-job.ts'
import { MirrorRunner, type MirrorRunnerOptions } from '../../src/registry/mirror/runner.ts'
import type { MirrorRecords } from '../../src/storage/metadata/mirror-records.ts'
import { noTotals } from '../../src/storage/metadata/mirror-row.ts'
import { testLog } from './test-logs.ts'

/** A job without a schedule. */
export function mirrorJob(name: string, more: object = {}): MirrorJob {
  return mirrorJobSchema.parse({
    name,
    source: { registry: 'quay.io' },
    target: {},
    repositories: ['acme/debian'],
    ...more,
  })
}

/** What runs do in place of copying: they wait until they are told how to end, or are aborted. */
export class ScriptedRuns {
  /** Jobs whose runs have begun, in that order, with what they were given. */
  readonly begun: { readonly job: string; readonly context: MirrorRunContext }[] = []
  #going = 0
  /** Most that ever went on at once. */
  most = 0
  readonly #ends: ((job: MirrorJob) => Promise<MirrorRunEnd>) | undefined

  constructor(ends?: (job: MirrorJob) => Promise<MirrorRunEnd>) {
    this.#ends = ends
  }

  readonly run: LeadParts['runMirrorJob'] = async (job, context) => {
    this.begun.push({ job: job.name, context })
    this.#going += 1
    this.most = Math.max(this.most, this.#going)
    try {
      if (this.#ends !== undefined) return await this.#ends(job)
      if (context.signal !== undefined && !context.signal.aborted) await once(context.signal, 'abort')
      return { totals: { ...noTotals, copied: 1 }, outcome: 'stopped', reason: 'It was stopped.' }
    } finally {
      this.#going -= 1
    }
  }
}

export async function endsWell(): Promise<MirrorRunEnd> {
  return { totals: { ...noTotals, unchanged: 3 }, outcome: 'ok', reason: undefined }
}

export interface RunnerOverrides extends Partial<Omit<MirrorRunnerOptions, 'records'>> {
  readonly metrics?: MirrorMetrics
}

/** As one replica has it, but that it looks every few milliseconds. */
export function startRunner(
  records: MirrorRecords,
  runs: ScriptedRuns,
  configured: readonly MirrorJob[] = [],
  overrides: RunnerOverrides = {},
): MirrorRunner {
  return new MirrorRunner({
    ...leadPartsOver(records, runs),
    jobs: new MirrorJobs({ configured, records, credentials: [] }),
    jobsAtOnce: 2,
    times: { pollMs: 10, refreshMs: 20, retryMs: 20 },
    ...overrides,
  })
}

export function leadPartsOver(records: MirrorRecords, runs: ScriptedRuns): LeadParts {
  const nowhere = { label: 'nowhere', repository: unexpected, repositories: unexpected }
  return {
    records,
    holder: crypto.randomUUID(),
    leaseMs: 60_000,
    open: async () => ({ source: nowhere, target: nowhere }),
    runMirrorJob: runs.run,
    copyImage: unexpected,
    creationTimes: new CreationTimes(),
    metrics: createMirrorMetrics(),
    log: testLog(),
  }
}

function unexpected(): never {
  throw new Error('scripted runs ask nothing')
}

/** Waits until it is so. @throws Error after half a minute. */
export async function eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    if (await isSo()) return
    await sleep(10)
  }
  throw new Error(`it never came: ${what}`)
}

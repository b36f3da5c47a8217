import type { MirrorMetrics } from '../../metrics/mirror-metrics.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { MirrorRun, MirrorRunRecords } from '../../storage/metadata/mirror-records.ts'
import { type JobState, nextStart } from './due.ts'
import { parseMirrorJobName } from './job-name.ts'

import type { KnownJob } from './mirror-jobs.ts'

/** What this process knows of a job. Times are of `performance.now()`. */
export interface WatchedJob {
  readonly knownSince: Date
  last: MirrorRun | undefined
  readAt: number
  retryAt: number
  /** Of the next scheduled start, chosen once for each. */
  jitter: { readonly start: number; readonly ms: number } | undefined
}

export interface WatchedJobsOptions {
  readonly records: Pick<MirrorRunRecords, 'listMirrorRuns'>
  readonly metrics: Pick<MirrorMetrics, 'forget' | 'state' | 'succeeded'>
  /** How often it is looked for what other replicas have done, in milliseconds. */
  readonly refreshMs: number
  readonly now: () => Date
  /** From 0 to below 1. */
  readonly random: () => number
}

/** The jobs that a runner looks after, each with its newest run. */
export class WatchedJobs {
  readonly #options: WatchedJobsOptions
  readonly #watched = new Map<string, WatchedJob>()

  constructor(options: WatchedJobsOptions) {
    this.#options = options
  }

  has(name: string): boolean {
    return this.#watched.has(name)
  }

  /** Lets go of those that `isKnown` does not know any more. */
  keepOnly(isKnown: (name: string) => boolean): void {
    for (const name of this.#watched.keys()) {
      if (isKnown(name)) continue
      this.#watched.delete(name)
      this.#options.metrics.forget(name)
    }
  }

  async watch({ job }: KnownJob, options: Abortable): Promise<WatchedJob> {
    const found = this.#watched.get(job.name)
    const watched = found ?? {
      knownSince: this.#options.now(),
      last: undefined,
      readAt: 0,
      retryAt: 0,
      jitter: undefined,
    }
    if (found !== undefined && performance.now() - found.readAt < this.#options.refreshMs) return watched
    await this.refresh(job.name, watched, options)
    if (found === undefined) {
      this.#options.metrics.state(job.name, 'idle')
      await this.#noteSuccess(job.name, options)
    }
    this.#watched.set(job.name, watched)
    return watched
  }

  async refresh(name: string, watched: WatchedJob, options: Abortable): Promise<void> {
    const { records, metrics } = this.#options
    const [last] = await records.listMirrorRuns({ job: parseMirrorJobName(name), limit: 1 }, options)
    watched.last = last
    watched.readAt = performance.now()
    if (last?.outcome === 'ok' && last.endedAt !== undefined) metrics.succeeded(name, last.endedAt)
  }

  /** How much later than its schedule says the next run starts, in milliseconds. */
  jitterOf(state: JobState, watched: WatchedJob): number {
    const { now, random } = this.#options
    const start = nextStart(state, now())?.getTime()
    if (start === undefined) return 0
    if (watched.jitter?.start !== start)
      watched.jitter = { start, ms: random() * (state.job.schedule?.jitterSeconds ?? 0) * 1000 }
    return watched.jitter.ms
  }

  /** The newest run may have failed, and the one before it not. */
  async #noteSuccess(name: string, options: Abortable): Promise<void> {
    const { records, metrics } = this.#options
    const runs = await records.listMirrorRuns({ job: parseMirrorJobName(name), limit: 100 }, options)
    const endedAt = runs.find(({ outcome }) => outcome === 'ok')?.endedAt
    if (endedAt !== undefined) metrics.succeeded(name, endedAt)
  }
}

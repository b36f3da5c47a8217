import { setTimeout as sleep } from 'node:timers/promises'
import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { MirrorWish, NewMirrorRun } from '../../storage/metadata/mirror-records.ts'
import { type Beginning, beginningOf, type JobState } from './due.ts'
import { type LeadParts, leadRun } from './lead-run.ts'
import type { KnownJob, MirrorJobs } from './mirror-jobs.ts'
import type { MirrorObserver } from './run-job.ts'
import { type WatchedJob, WatchedJobs } from './watched-jobs.ts'

export interface MirrorRunnerOptions extends LeadParts {
  readonly jobs: Pick<MirrorJobs, 'list'>
  /** Runs at the same time in this process, those that are paused not counted. */
  readonly jobsAtOnce: number
  readonly times?: Partial<RunnerTimes> | undefined
  /** From 0 to below 1. */
  readonly random?: (() => number) | undefined
  readonly now?: (() => Date) | undefined
}

/** In milliseconds. */
export interface RunnerTimes {
  /** How often it is looked for wishes and for times that have come. */
  readonly pollMs: number
  /** How often it is looked for what other replicas have done. */
  readonly refreshMs: number
  /** When a job is tried again that another leads, or that could not be begun. */
  readonly retryMs: number
}

const defaultTimes: RunnerTimes = Object.freeze({ pollMs: 2_000, refreshMs: 30_000, retryMs: 5_000 })

interface Running {
  readonly stop: AbortController
  readonly wasEnabled: boolean
  /** It waits, and takes nobody's place meanwhile. */
  isPaused: boolean
  ended: Promise<void>
}

/** How long a process that stops tries to leave word that its runs shall go on. */
const lastWishMs = 2_000

/**
 * Runs jobs when their schedule says so, when somebody wishes it, and when the process that ran one has died. Every
 * replica has one; each job is led by one of them at a time. Disposing it stops its runs, which the next that comes
 * begins again: another replica at once, or this one when it starts.
 */
export class MirrorRunner implements AsyncDisposable {
  readonly #options: MirrorRunnerOptions
  readonly #times: RunnerTimes
  readonly #now: () => Date
  readonly #watched: WatchedJobs
  readonly #running = new Map<string, Running>()
  readonly #closing = new AbortController()
  readonly #polling: Promise<void>
  #wakeUp = Promise.withResolvers<void>()

  constructor(options: MirrorRunnerOptions) {
    this.#options = options
    this.#times = { ...defaultTimes, ...options.times }
    this.#now = options.now ?? (() => new Date())
    this.#watched = new WatchedJobs({
      records: options.records,
      metrics: options.metrics,
      refreshMs: this.#times.refreshMs,
      now: this.#now,
      random: options.random ?? Math.random,
    })
    this.#polling = this.#poll(this.#closing.signal)
  }

  /** Somebody in this process has just wished something. */
  wake(): void {
    this.#wakeUp.resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException('the registry is stopping', 'AbortError'))
    this.wake()
    await this.#polling
    await Promise.all([...this.#running.values()].map(async ({ ended }) => await ended))
  }

  async #poll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#wakeUp = Promise.withResolvers<void>()
      try {
        await this.#look({ signal })
      } catch (error) {
        if (signal.aborted) return
        if (isDomainError(error)) this.#options.log.warn({ error }, 'mirror jobs cannot be looked at now')
        else this.#options.log.error({ error }, 'mirror jobs cannot be looked at')
      }
      const next = new AbortController()
      await Promise.race([
        this.#wakeUp.promise,
        sleep(this.#times.pollMs, undefined, { signal: next.signal }).catch(() => {}),
      ])
      next.abort()
    }
  }

  get #going(): number {
    return [...this.#running.values()].filter(({ isPaused }) => !isPaused).length
  }

  async #look(options: Abortable): Promise<void> {
    const { jobs, records, jobsAtOnce } = this.#options
    const known = await jobs.list(options)
    const wishes = new Map(
      (await records.listMirrorWishes(options)).map(({ job, wish }) => [String(job), wish]),
    )
    this.#forget(known)
    // Those that somebody waits for first.
    const order = known.toSorted((one, other) => rank(wishes, one) - rank(wishes, other))
    for (const job of order) {
      if (this.#going >= jobsAtOnce) return
      if (this.#running.has(job.job.name)) continue
      const watched = await this.#watched.watch(job, options)
      const state: JobState = { ...job, ...watched, wish: wishes.get(job.job.name) }
      if (watched.retryAt > performance.now()) continue
      if (beginningOf(state, this.#now(), this.#watched.jitterOf(state, watched)) !== undefined)
        this.#start(job, watched)
    }
  }

  /** Stops the runs of jobs that are no more, or were disabled. */
  #forget(known: readonly KnownJob[]): void {
    const jobs = new Map(known.map(({ job }) => [job.name, job]))
    for (const [name, { stop, wasEnabled }] of this.#running) {
      const job = jobs.get(name)
      if (job === undefined || (wasEnabled && !job.enabled))
        stop.abort(new DOMException('the job was deleted or disabled', 'AbortError'))
    }
    this.#watched.keepOnly(name => jobs.has(name))
  }

  #start(known: KnownJob, watched: WatchedJob): void {
    const { name, enabled } = known.job
    const stop = new AbortController()
    const running: Running = { stop, wasEnabled: enabled, isPaused: false, ended: Promise.resolve() }
    this.#running.set(name, running)
    running.ended = this.#run(known, watched, running).finally(() => {
      this.#running.delete(name)
      // It was deleted meanwhile, and its run has told how it ended since.
      if (!this.#watched.has(name)) this.#options.metrics.forget(name)
      // Another may have waited for its place.
      this.wake()
    })
  }

  /** Never rejects. */
  async #run(known: KnownJob, watched: WatchedJob, running: Running): Promise<void> {
    const { log } = this.#options
    const { job } = known
    const signal = AbortSignal.any([running.stop.signal, this.#closing.signal])
    watched.retryAt = performance.now() + this.#times.retryMs
    try {
      const led = await leadRun(job, this.#options, {
        beginning: async options => await this.#isStillWanted(known, watched, options),
        observer: this.#givingWay(running),
        onStopped: async run => await this.#goOnLater(run),
        signal,
      })
      if (led !== undefined) watched.retryAt = 0
    } catch (error) {
      if (signal.aborted) return
      if (isDomainError(error)) log.warn({ job: job.name, error }, 'mirror job cannot be run now')
      else log.error({ job: job.name, error }, 'mirror job cannot be run')
    } finally {
      // What was known of its runs is out of date.
      watched.readAt = 0
    }
  }

  /** A run that waits for hours keeps its lease, but nobody from running. */
  #givingWay(running: Running): MirrorObserver {
    return {
      paused: () => {
        running.isPaused = true
        this.wake()
      },
      resumed: () => {
        running.isPaused = false
      },
    }
  }

  /** With the lease it is known what all others have done. */
  async #isStillWanted(
    known: KnownJob,
    watched: WatchedJob,
    options: Abortable,
  ): Promise<Beginning | undefined> {
    await this.#watched.refresh(known.job.name, watched, options)
    const wishes = await this.#options.records.listMirrorWishes(options)
    const wish: MirrorWish | undefined = wishes.find(({ job }) => job === known.job.name)?.wish
    const state: JobState = { ...known, ...watched, wish }
    return beginningOf(state, this.#now(), this.#watched.jitterOf(state, watched))
  }

  /** Only what ends with the process; who deletes or disables a job wants no more of it. */
  async #goOnLater({ job, trigger, by }: NewMirrorRun): Promise<void> {
    if (!this.#closing.signal.aborted) return
    await this.#options.records
      .wishMirrorRun(job, { trigger, by, at: new Date() }, { signal: AbortSignal.timeout(lastWishMs) })
      .catch((error: unknown) =>
        this.#options.log.warn({ job, error }, 'the mirror run will not go on by itself'),
      )
  }
}

function rank(wishes: ReadonlyMap<string, MirrorWish>, { job }: KnownJob): number {
  return wishes.has(job.name) ? 0 : 1
}

import { DomainError, isAbort, isDomainError } from '../../errors.ts'
import type { ImportEvent, ImportRequest, ImportService } from '../import-service.ts'
import { type ImportJob, TrackedJob } from './import-job.ts'
import type { FinalRecord, JobSummary } from './job-records.ts'
import { cancelled, errorRecord, stopping, unexpected } from './job-errors.ts'
import { inFull, keyOf } from './job-key.ts'
import { firstToStart } from './job-order.ts'

/** Jobs that may wait: what a provisioner has a use for, and far from what would fill the memory. */
const maxQueued = 10_000

/**
 * Layers of all jobs that have ended and of which it is still known what became of each: some ten MiB. An image may have a
 * thousand, so that the number of jobs alone bounds nothing.
 */
const maxRememberedLayers = 10_000

export interface ImportJobsOptions {
  /** Imports that run at once. */
  readonly atOnce: number
  /** Jobs that are still found after they have ended: the latest ones. */
  readonly remembered: number
  readonly onEvent?: ((event: ImportEvent) => void) | undefined
  /** Told once of each job, however it ended. */
  readonly onEnded?: ((job: JobSummary) => void) | undefined
  /** Told what a job has failed with when it is no DomainError; followers only learn that there is a log. */
  readonly onUnexpected?: ((error: unknown, job: JobSummary) => void) | undefined
}

export interface EnsureOptions {
  /** Higher ones start first, 0 unless given; among equals the older ones. */
  readonly priority?: number | undefined
  /**
   * It ends when its last follower has left, unless somebody else has asked for it who does not follow it. Whoever says so
   * follows it.
   */
  readonly attached?: boolean | undefined
}

/** Imports that go on whoever listens, a few at a time, each image once. Disposing cancels all of them and waits. */
export class ImportJobs implements AsyncDisposable {
  readonly #service: Pick<ImportService, 'import'>
  readonly #options: ImportJobsOptions
  /** All that can be found, in the order in which they were asked for. */
  readonly #jobs = new Map<string, TrackedJob>()
  /** Those that can be joined. */
  readonly #byKey = new Map<string, TrackedJob>()
  readonly #queued = new Set<TrackedJob>()
  /** Cancelled ones as well, until their imports have come to rest. */
  readonly #running = new Map<TrackedJob, Promise<void>>()
  /** Oldest end first. */
  readonly #ended = new Set<TrackedJob>()
  /** Those that still know their layers, and how many these are. */
  readonly #detailed = new Set<TrackedJob>()
  #rememberedLayers = 0
  #closing = false

  constructor(service: Pick<ImportService, 'import'>, options: ImportJobsOptions) {
    this.#service = service
    this.#options = options
  }

  /** Jobs that wait for their turn. */
  get queued(): number {
    return this.#queued.size
  }

  get running(): number {
    return this.#running.size
  }

  /**
   * The job that imports this, a new one unless there is one for the same image, platform and credentials that has not ended.
   * @throws DomainError `invalid` when the image's name is none; `busy` when too many wait; `unavailable` when it is closing.
   */
  ensure(request: ImportRequest, { priority = 0, attached = false }: EnsureOptions = {}): ImportJob {
    if (this.#closing) throw stopping(request.image)
    const full = inFull(request)
    const key = keyOf(full)
    const job = this.#byKey.get(key) ?? this.#add(key, full, priority, attached)
    job.join(priority, attached)
    this.#startNext()
    return job
  }

  /**
   * How the latest import of this has ended, when somebody was answered minutes ago that it goes on and has not asked since:
   * told once. Or whoever asks again and again, without waiting long, would start it anew each time and never learn it.
   */
  takeEnd(request: ImportRequest): FinalRecord | undefined {
    const key = keyOf(inFull(request))
    return [...this.#ended].findLast(job => job.key === key)?.takeEnd()
  }

  find(id: string): ImportJob | undefined {
    return this.#jobs.get(id)
  }

  /** In the order in which they were asked for first; those that have ended included, as far as they are remembered. */
  list(): ImportJob[] {
    return [...this.#jobs.values()]
  }

  /** Ends a job, whoever follows it; what it has finished stays. One that has ended is left alone. `undefined` when there is none. */
  cancel(id: string): ImportJob | undefined {
    const job = this.#jobs.get(id)
    if (job !== undefined) this.#cancel(job, cancelled(job.request.image))
    return job
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true
    for (const job of this.#jobs.values()) this.#cancel(job, stopping(job.request.image))
    await Promise.all(this.#running.values())
  }

  #add(key: string, request: ImportRequest, priority: number, attached: boolean): TrackedJob {
    if (this.#queued.size >= maxQueued)
      throw new DomainError('busy', `${maxQueued} imports wait already; ask for ${request.image} later.`, {
        resource: 'image',
        name: request.image,
      })
    const onAbandoned = (job: TrackedJob): void => this.#cancel(job, cancelled(request.image))
    const job = new TrackedJob({ key, request, priority, attached, onAbandoned })
    this.#jobs.set(job.id, job)
    this.#byKey.set(key, job)
    this.#queued.add(job)
    return job
  }

  #cancel(job: TrackedJob, reason: DomainError): void {
    this.#end(job, () => job.end('cancelled', errorRecord(reason)))
    this.#startNext()
  }

  #end(job: TrackedJob, end: () => boolean): void {
    if (!end()) return
    this.#queued.delete(job)
    if (this.#byKey.get(job.key) === job) this.#byKey.delete(job.key)
    this.#ended.add(job)
    this.#detailed.add(job)
    this.#rememberedLayers += job.layerCount
    for (const oldest of this.#ended) {
      if (this.#ended.size <= this.#options.remembered) break
      this.#forgetLayers(oldest)
      this.#ended.delete(oldest)
      this.#jobs.delete(oldest.id)
    }
    for (const oldest of this.#detailed) {
      if (this.#rememberedLayers <= maxRememberedLayers || this.#detailed.size === 1) break
      this.#forgetLayers(oldest)
    }
    this.#options.onEnded?.(job.summary())
  }

  #forgetLayers(job: TrackedJob): void {
    if (!this.#detailed.delete(job)) return
    this.#rememberedLayers -= job.layerCount
    job.forgetLayers()
  }

  #startNext(): void {
    while (!this.#closing && this.#running.size < this.#options.atOnce) {
      const next = firstToStart(this.#queued)
      if (next === undefined) return
      this.#queued.delete(next)
      next.start()
      const running = this.#run(next).finally(() => {
        this.#running.delete(next)
        this.#startNext()
      })
      this.#running.set(next, running)
    }
  }

  /** Never rejects. */
  async #run(job: TrackedJob): Promise<void> {
    const onEvent = (event: ImportEvent): void => {
      job.add(event)
      this.#options.onEvent?.(event)
    }
    try {
      const result = await this.#service.import(job.request, { signal: job.signal, onEvent })
      this.#end(job, () => job.end('done', { type: 'done', ...result }))
    } catch (error) {
      this.#end(job, () => this.#fail(job, error))
    }
  }

  #fail(job: TrackedJob, error: unknown): boolean {
    if (isDomainError(error)) return job.end('failed', errorRecord(error))
    // Whoever else aborts an import is about to stop.
    if (isAbort(error)) return job.end('cancelled', errorRecord(stopping(job.request.image)))
    this.#options.onUnexpected?.(error, job.summary())
    return job.end('failed', unexpected)
  }
}

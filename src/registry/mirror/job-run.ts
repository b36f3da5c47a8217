import type { MirrorJob } from '../../mirror-job.ts'
import { orAbort } from '../../storage/abortable.ts'
import { CreationTimes } from './creation-times.ts'
import { GatedSource } from './gated-source.ts'
import { inParallel } from './in-parallel.ts'
import { type MirroredRepository, type ReadyJob, readyJob } from './mirrored-repository.ts'
import { Patience } from './patience.ts'
import { maxReason, runEnd } from './run-end.ts'
import { RunGate } from './run-gate.ts'
import type { MirrorRunContext, MirrorRunEnd } from './run-job.ts'
import { RunRecorder } from './run-recorder.ts'
import { TagsUnderWay } from './tags-under-way.ts'
import { TaskWorker } from './task-worker.ts'
import { type MirrorTask, walkJob } from './walk-job.ts'

/** How often it is written down how far a run is. */
const saveEveryMs = 3_000
/** How long a run that was stopped tries to write its last results. */
const lastWriteMs = 5_000
/** The longest pause after an outage, unless given. */
const maxRetryPauseMs = 30_000
/** What may fail one time after the other before the run is over; more for a run that does more at once. */
const minOutages = 10

/** One run of a job, which can be run once. */
export class JobRun {
  readonly #job: ReadyJob
  readonly #context: MirrorRunContext
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #gate: RunGate
  readonly #patience: Patience
  readonly #recorder: RunRecorder
  readonly #worker: TaskWorker
  readonly #underWay = new TagsUnderWay<MirroredRepository>()
  #failure: { readonly error: unknown } | undefined
  #givenUp: string | undefined

  /** @throws DomainError `invalid`, as {@link readyJob}. */
  constructor(rules: MirrorJob, context: MirrorRunContext) {
    const job = readyJob(rules)
    const recorder = new RunRecorder(context)
    const { random = Math.random, now = () => new Date() } = context
    const { pullsLeft, concurrency } = rules.limits
    const stop = this.#stop.signal
    const signal = context.signal === undefined ? stop : AbortSignal.any([context.signal, stop])
    const onGivingUp = (reason: string): void => this.#giveUp(reason)
    const gate = new RunGate({
      now,
      random,
      signal,
      notBefore: at => context.notBefore?.(at),
      quota: () => context.source.pullQuota,
      pullsLeft,
      pause: (until, reason) => this.#pause(until, reason),
      onGivingUp,
    })
    const patience = new Patience({
      gate,
      signal,
      random,
      maxPauseMs: context.maxRetryPauseMs ?? maxRetryPauseMs,
      maxOutages: Math.max(minOutages, 2 * concurrency),
      onGivingUp,
    })
    this.#job = job
    this.#context = context
    this.#signal = signal
    this.#gate = gate
    this.#patience = patience
    this.#recorder = recorder
    this.#worker = new TaskWorker({ job, context, patience, recorder, now, signal })
  }

  async run(): Promise<MirrorRunEnd> {
    let saving: Promise<void> | undefined
    const timer = setInterval(() => {
      // A database that is slow is not asked once more meanwhile.
      saving ??= this.#save().finally(() => {
        saving = undefined
      })
    }, saveEveryMs).unref()
    try {
      await inParallel(this.#tasks(), this.#job.rules.limits.concurrency, task => this.#perform(task))
    } catch (error) {
      this.#fail(error)
    } finally {
      clearInterval(timer)
      await saving
      this.#stop.abort()
    }
    if (this.#failure !== undefined) throw this.#failure.error
    await this.#writeLast()
    const { totals, firstFailure } = this.#recorder
    this.#context.progress?.totals?.(totals)
    const isStopped = this.#context.signal?.aborted === true
    return runEnd({ totals, isStopped, givenUp: this.#givenUp, firstFailure })
  }

  async *#tasks(): AsyncGenerator<MirrorTask, void, undefined> {
    const { source, target, creationTimes = new CreationTimes() } = this.#context
    const tasks = walkJob(this.#job, {
      source: new GatedSource(source, () => this.#gate.pass('pull')),
      target,
      times: creationTimes,
      attempt: question => this.#patience.with(question),
      signal: this.#signal,
    })
    for await (const task of tasks) {
      // Before anybody can have the end of its repository.
      if (task.kind === 'tag') this.#underWay.begun(task.repository)
      yield task
    }
  }

  /** Whatever is thrown here ends the run, also for those who wait for others. */
  async #perform(task: MirrorTask): Promise<void> {
    try {
      if (task.kind === 'end') await this.#underWay.none(task.repository, { signal: this.#signal })
      await this.#worker.perform(task)
      if (task.kind === 'tag') this.#underWay.ended(task.repository)
    } catch (error) {
      this.#fail(error)
      throw error
    }
  }

  async #pause(until: Date, reason: string): Promise<void> {
    const { progress, pause } = this.#context
    this.#recorder.paused = { resumeAt: until, reason: reason.slice(0, maxReason) }
    await this.#save()
    progress?.paused?.(until, reason)
    await orAbort(pause(until, reason, { signal: this.#signal }), this.#signal)
    this.#recorder.paused = undefined
    progress?.resumed?.()
    await this.#save()
  }

  /** What cannot be saved now is saved the next time; it is only for people. */
  async #save(): Promise<void> {
    const { log, run } = this.#context
    try {
      await this.#recorder.save({ signal: this.#signal })
    } catch (error) {
      if (this.#signal.aborted) return
      log?.warn({ job: this.#job.name, run, error }, 'how far a mirror run is could not be saved')
    }
  }

  async #writeLast(): Promise<void> {
    try {
      await this.#recorder.write({ signal: AbortSignal.timeout(lastWriteMs) })
    } catch (error) {
      // A run that was stopped may be somebody else's by now.
      if (this.#context.signal?.aborted !== true) throw error
    }
  }

  #giveUp(reason: string): void {
    this.#givenUp ??= reason
    this.#stop.abort()
  }

  #fail(error: unknown): void {
    if (!this.#signal.aborted) this.#failure = { error }
    this.#stop.abort()
  }
}

import { isDomainError } from '../../errors.ts'
import { BlobFlights } from '../../storage/images/blob-flights.ts'
import type { MirrorResult } from '../../storage/metadata/mirror-records.ts'
import type { Tag } from '../../storage/reference.ts'
import { mirrorTag } from './mirror-tag.ts'
import type { MirroredRepository, ReadyJob } from './mirrored-repository.ts'
import type { FoundTag } from './newest-by-time.ts'
import type { Patience } from './patience.ts'
import { type PrunedTag, pruneTag, surplusTags } from './prune-tags.ts'
import { maxReason } from './run-end.ts'
import type { MirrorRunContext } from './run-job.ts'
import type { RunRecorder } from './run-recorder.ts'
import type { MirrorTask } from './walk-job.ts'

export interface TaskWorkerParts {
  readonly job: ReadyJob
  readonly context: MirrorRunContext
  readonly patience: Patience
  readonly recorder: RunRecorder
  readonly now: () => Date
  readonly signal: AbortSignal
}

type Finding = Pick<MirrorResult, 'outcome' | 'digest' | 'reason' | 'bytes'>

/** Does the tasks of one run, several at once, and has recorded what became of each. */
export class TaskWorker {
  readonly #parts: TaskWorkerParts
  readonly #flights = new BlobFlights()

  constructor(parts: TaskWorkerParts) {
    this.#parts = parts
  }

  /**
   * What fails about images and registries is recorded, too.
   * @throws what the records throw; the signal's reason.
   */
  async perform(task: MirrorTask): Promise<void> {
    if (task.kind === 'tag') return await this.#mirror(task.repository, task)
    if (task.kind === 'end') return await this.#prune(task.repository)
    const { source, target, outcome, reason } = task
    await this.#add({ source, target, tag: null }, { outcome, digest: null, reason, bytes: 0 })
  }

  async #mirror(repository: MirroredRepository, found: FoundTag): Promise<void> {
    const { job, context, recorder, now, signal } = this.#parts
    const finding = await this.#finding(async () => {
      const options = { context, flights: this.#flights, now, signal }
      const { report, ...rest } = await mirrorTag(job, repository, found, options)
      if (report !== undefined) recorder.addBlobs(report)
      return rest
    })
    await this.#addTag(repository, found.tag, finding)
  }

  async #prune(repository: MirroredRepository): Promise<void> {
    const { job, patience, signal } = this.#parts
    let surplus: readonly PrunedTag[]
    try {
      surplus = await patience.with(() => surplusTags(job, repository, { signal }))
    } catch (error) {
      signal.throwIfAborted()
      const { source, target } = repository
      await this.#add({ source: source.label, target: target.label, tag: null }, this.#failed(error))
      return
    }
    for (const one of surplus)
      await this.#addTag(repository, one.tag, await this.#finding(() => this.#pruned(repository, one)))
  }

  async #pruned(repository: MirroredRepository, { tag, action, reason }: PrunedTag): Promise<Finding> {
    const about = { digest: null, bytes: 0 }
    if (action === 'report') return { ...about, outcome: 'skipped', reason }
    const { signal } = this.#parts
    if (await pruneTag(repository, tag, { signal })) return { ...about, outcome: 'deleted', reason }
    return { ...about, outcome: 'skipped', reason: 'The source has it, though it did not list it.' }
  }

  /** What fails is a finding as well. @throws the signal's reason. */
  async #finding(work: () => Promise<Finding>): Promise<Finding> {
    const { patience, signal } = this.#parts
    try {
      return await patience.with(work)
    } catch (error) {
      signal.throwIfAborted()
      return this.#failed(error)
    }
  }

  #failed(error: unknown): Finding {
    const { job, context } = this.#parts
    const failed = (reason: string): Finding => ({ outcome: 'failed', digest: null, reason, bytes: 0 })
    if (isDomainError(error)) return failed(error.message)
    context.log?.error({ job: job.name, run: context.run, error }, 'a mirror run met an unexpected error')
    return failed("An unexpected error, which is in the registry's log.")
  }

  async #addTag({ source, target }: MirroredRepository, tag: Tag, finding: Finding): Promise<void> {
    await this.#add({ source: source.label, target: target.label, tag }, finding)
  }

  async #add(place: Pick<MirrorResult, 'source' | 'target' | 'tag'>, finding: Finding): Promise<void> {
    const { recorder, now, signal } = this.#parts
    const reason = finding.reason?.slice(0, maxReason) ?? null
    await recorder.add({ ...place, ...finding, reason, at: now() }, { signal })
  }
}

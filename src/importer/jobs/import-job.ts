import { randomUUID } from 'node:crypto'
import type { Digest } from '../../storage/digest.ts'
import { type Abortable, orAbort } from '../../storage/abortable.ts'
import { formatPlatform } from '../../storage/platform.ts'
import type { ImportEvent, ImportRequest, ResolvedEvent } from '../import-service.ts'
import { EventDigest, type TimedEvent } from './event-digest.ts'
import { JobFollower } from './job-follower.ts'
import type { FinalRecord, ImportRecord, JobState, JobSummary } from './job-records.ts'
import { layerStatesOf } from './layer-states.ts'

/** Who has not asked again by then has given up, and whoever asks later means what is true then. */
const owedForMs = 5 * 60_000

/** An import that was asked for, by one or by many. */
export interface ImportJob {
  readonly id: string
  /** As it is now. */
  summary(): JobSummary
  /**
   * What has happened so far in compact form (`resolved`, then where each layer is), what happens from now on, and at last
   * exactly one final record. A slow reader misses steps in between, never the last one of a layer. Who stops reading
   * returns the iterator, as `for await` does, or aborts the signal, which then is what reading rejects with.
   */
  follow(options?: Abortable): AsyncIterableIterator<ImportRecord>
  /** Waits for the end without being a follower. Never rejects but by the signal. */
  ended(options?: Abortable): Promise<FinalRecord>
  /** As {@link summary}, for one who will ask again instead of waiting: see `ImportJobs.takeEnd`. */
  waitNoLonger(): JobSummary
}

export interface TrackedJobParts {
  /** What the same requests have in common. */
  readonly key: string
  /** Its image in full. */
  readonly request: ImportRequest
  readonly priority: number
  readonly attached: boolean
  /** Called when the last follower of an attached job has left before its end. */
  readonly onAbandoned: (job: TrackedJob) => void
}

/** An {@link ImportJob} with what only the one who runs it may do. */
export class TrackedJob implements ImportJob {
  readonly id = randomUUID()
  readonly key: string
  readonly request: ImportRequest
  priority: number
  readonly #onAbandoned: (job: TrackedJob) => void
  readonly #createdAt = new Date()
  #startedAt: Date | undefined
  #endedAt: Date | undefined
  #state: JobState = 'queued'
  #final: FinalRecord | undefined
  #events = new EventDigest()
  /** Once the layers are forgotten. */
  #manifestDigest: Digest | undefined
  readonly #followers = new Set<JobFollower>()
  readonly #waiting = new Set<PromiseWithResolvers<FinalRecord>>()
  readonly #stop = new AbortController()
  #attached: boolean
  /** Somebody has yet to be told how it ended. */
  #owed = false
  /** Who has asked for an attached job and has not come to follow it yet. */
  #expected = 0

  constructor({ key, request, priority, attached, onAbandoned }: TrackedJobParts) {
    this.key = key
    this.request = request
    this.priority = priority
    this.#attached = attached
    this.#onAbandoned = onAbandoned
  }

  get state(): JobState {
    return this.#state
  }

  /** Aborted when the job is cancelled. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Somebody asks for it as well: the higher priority holds, and one who will not follow it keeps it going. */
  join(priority: number, attached: boolean): void {
    this.priority = Math.max(this.priority, priority)
    if (attached) this.#expected += 1
    else this.#attached = false
  }

  /** How many layers it knows of. */
  get layerCount(): number {
    return this.#resolved()?.layers.length ?? 0
  }

  /** From now on it only knows how it ended. Only for one that has. */
  forgetLayers(): void {
    this.#manifestDigest = this.#resolved()?.manifestDigest
    this.#events = new EventDigest()
  }

  start(): void {
    this.#state = 'running'
    this.#startedAt = new Date()
  }

  add(event: ImportEvent): void {
    if (this.#final !== undefined) return
    const timed: TimedEvent = { event, at: performance.now() }
    this.#events.add(timed)
    for (const follower of this.#followers) follower.tell(timed)
  }

  /** The first end holds. Answers whether this is it. */
  end(state: 'done' | 'failed' | 'cancelled', final: FinalRecord): boolean {
    if (this.#final !== undefined) return false
    this.#state = state
    this.#final = final
    this.#endedAt = new Date()
    for (const follower of this.#followers) follower.end(final)
    for (const waiting of this.#waiting) waiting.resolve(final)
    if (state === 'cancelled') this.#stop.abort(new DOMException('the import was cancelled', 'AbortError'))
    return true
  }

  summary(): JobSummary {
    const events = this.#events.all()
    const { image, platform, credentials } = this.request
    return {
      id: this.id,
      image,
      platform: formatPlatform(platform),
      credentials,
      priority: this.priority,
      state: this.#state,
      createdAt: this.#createdAt,
      startedAt: this.#startedAt,
      endedAt: this.#endedAt,
      manifestDigest: this.#resolved()?.manifestDigest ?? this.#manifestDigest,
      layers: layerStatesOf(events, this.#state, performance.now()),
      ...outcomeOf(this.#final),
    }
  }

  follow({ signal }: Abortable = {}): AsyncIterableIterator<ImportRecord> {
    this.#expected = Math.max(0, this.#expected - 1)
    // Who has left before it came is nobody to wait for.
    if (signal?.aborted === true) this.#endIfAbandoned()
    const onLeft = (left: JobFollower): void => this.#left(left)
    const follower = new JobFollower({ past: this.#events.all(), onLeft, signal })
    if (this.#final === undefined) this.#followers.add(follower)
    else follower.end(this.#final)
    return follower
  }

  async ended({ signal }: Abortable = {}): Promise<FinalRecord> {
    if (this.#final !== undefined) return this.#final
    const waiting = Promise.withResolvers<FinalRecord>()
    this.#waiting.add(waiting)
    try {
      return await orAbort(waiting.promise, signal)
    } finally {
      this.#waiting.delete(waiting)
    }
  }

  waitNoLonger(): JobSummary {
    this.#owed = true
    return this.summary()
  }

  /** How it ended, once, when somebody has yet to be told and has not taken too long to ask. */
  takeEnd(): FinalRecord | undefined {
    if (!this.#owed || this.#endedAt === undefined) return undefined
    this.#owed = false
    return Date.now() - this.#endedAt.getTime() < owedForMs ? this.#final : undefined
  }

  #resolved(): ResolvedEvent | undefined {
    return this.#events.all().flatMap(({ event }) => (event.type === 'resolved' ? [event] : []))[0]
  }

  #left(follower: JobFollower): void {
    if (this.#followers.delete(follower)) this.#endIfAbandoned()
  }

  #endIfAbandoned(): void {
    const isAbandoned = this.#attached && this.#followers.size === 0 && this.#expected === 0
    if (isAbandoned && this.#final === undefined) this.#onAbandoned(this)
  }
}

function outcomeOf(final: FinalRecord | undefined): Pick<JobSummary, 'result' | 'error'> {
  if (final === undefined) return {}
  if (final.type === 'error') return { error: final.error }
  const { type: _, ...result } = final
  return { result }
}

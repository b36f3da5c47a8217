import type { Logger } from '../../log.ts'
import type { EventRecords, NewEvent } from '../../storage/metadata/event-records.ts'

/** What handlers tell of pulls. Never waits and never fails. */
export interface PullLog {
  record(event: NewEvent): void
}

export interface PullRecorderOptions {
  readonly records: Pick<EventRecords, 'addEvents'>
  readonly log: Logger
  /** Told of events that were dropped because too many waited. */
  readonly onDropped: (count: number) => void
  /** Events that may wait; 10,000 unless given. */
  readonly limit?: number | undefined
  /** Milliseconds from an event until it is written; 1,000 unless given. */
  readonly everyMs?: number | undefined
}

/** Events of one transaction. */
const batchSize = 500

/** How long a process that stops tries to write what is left. */
const lastWriteMs = 2_000

/**
 * Collects events of pulls and writes many of them at once, a moment later. A pull changes nothing, so nothing is
 * written in its transaction, and it must not wait for the database: while that is away, events wait here, as many as
 * there is room for; those of a process that is killed are lost.
 */
export class PullRecorder implements PullLog, AsyncDisposable {
  readonly #options: PullRecorderOptions
  readonly #limit: number
  readonly #everyMs: number
  #waiting: NewEvent[] = []
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()
  #isFailing = false

  constructor({ limit = 10_000, everyMs = 1_000, ...options }: PullRecorderOptions) {
    this.#options = options
    this.#limit = limit
    this.#everyMs = everyMs
  }

  record(event: NewEvent): void {
    if (this.#waiting.length >= this.#limit) {
      this.#options.onDropped(1)
      return
    }
    this.#waiting.push(event)
    this.#schedule()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    await this.#writing
    await this.#write(AbortSignal.timeout(lastWriteMs))
    clearTimeout(this.#timer)
    this.#options.onDropped(this.#waiting.length)
    this.#waiting = []
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#writing = this.#write()
    }, this.#everyMs)
  }

  async #write(signal?: AbortSignal): Promise<void> {
    this.#timer = undefined
    const { records, log } = this.#options
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting.slice(0, batchSize)
        await records.addEvents(batch, { signal })
        this.#waiting = this.#waiting.slice(batch.length)
        this.#isFailing = false
      }
    } catch (error) {
      if (!this.#isFailing) log.warn({ error }, 'events of pulls cannot be written now; they wait')
      this.#isFailing = true
      this.#schedule()
    }
  }
}

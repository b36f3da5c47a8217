import type { Logger } from '../log.ts'
import type { Abortable } from '../storage/abortable.ts'

export interface BatchWriterOptions<Item> {
  /**
   * Keeps some. Answers how many of them, from the first on, are kept now: one at least.
   * @throws when none could be.
   */
  readonly write: (items: readonly Item[], options: Abortable) => Promise<number>
  /** What the items are, for the log: `events of pulls`. */
  readonly what: string
  readonly log: Logger
  /** Told of items that were dropped, because too many waited or because the process has ended. */
  readonly onDropped: (count: number) => void
  /** Items that may wait; 10,000 unless given. */
  readonly limit?: number | undefined
  /** Milliseconds from an item until it is written; 1,000 unless given. */
  readonly everyMs?: number | undefined
}

/** Items that are written at once. */
const batchSize = 500

/** How long a process that stops tries to write what is left. Milliseconds. */
const lastWriteMs = 2_000

/**
 * Collects items and writes many of them at once, a moment later, so that nobody waits for the database. While that is
 * away, items wait here, as many as there is room for; those of a process that is killed are lost.
 */
export class BatchWriter<Item> implements AsyncDisposable {
  readonly #options: BatchWriterOptions<Item>
  readonly #limit: number
  readonly #everyMs: number
  #waiting: Item[] = []
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()
  #isFailing = false
  #isDropping = false

  constructor({ limit = 10_000, everyMs = 1_000, ...options }: BatchWriterOptions<Item>) {
    this.#options = options
    this.#limit = limit
    this.#everyMs = everyMs
  }

  /** Never waits and never fails. */
  add(item: Item): void {
    if (this.#waiting.length >= this.#limit) {
      this.#drop(1, 'too many wait to be written')
      return
    }
    this.#waiting.push(item)
    this.#schedule()
  }

  /** Writes what waits, as far as that goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    await this.#writing
    await this.#write(AbortSignal.timeout(lastWriteMs))
    clearTimeout(this.#timer)
    if (this.#waiting.length > 0) this.#drop(this.#waiting.length, 'they could not be written before the end')
    this.#waiting = []
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#writing = this.#write()
    }, this.#everyMs)
  }

  async #write(signal?: AbortSignal): Promise<void> {
    this.#timer = undefined
    const { write, what, log } = this.#options
    try {
      while (this.#waiting.length > 0) {
        const kept = await write(this.#waiting.slice(0, batchSize), { signal })
        this.#waiting = this.#waiting.slice(kept)
        this.#isFailing = false
        this.#isDropping = false
      }
    } catch (error) {
      if (!this.#isFailing) log.warn({ error }, `${what} cannot be written now; they wait`)
      this.#isFailing = true
      this.#schedule()
    }
  }

  #drop(count: number, why: string): void {
    const { what, log, onDropped } = this.#options
    if (!this.#isDropping) log.error({ count }, `${what} are lost, because ${why}`)
    this.#isDropping = true
    onDropped(count)
  }
}

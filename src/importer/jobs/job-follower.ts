import type { Abortable } from '../../storage/abortable.ts'
import { EventDigest, type TimedEvent } from './event-digest.ts'
import type { FinalRecord, ImportRecord } from './job-records.ts'

export interface JobFollowerParts extends Abortable {
  /** What there is to tell already. */
  readonly past: readonly TimedEvent[]
  /** Called once, when it has told everything or nobody reads it any more. */
  readonly onLeft: (follower: JobFollower) => void
}

/** Tells one reader what becomes of a job, at the reader's own pace and in bounded memory. */
export class JobFollower implements AsyncIterableIterator<ImportRecord> {
  readonly #events: EventDigest
  readonly #onLeft: (follower: JobFollower) => void
  readonly #signal: AbortSignal | undefined
  #final: FinalRecord | undefined
  #left = false
  #aborted = false
  #changed = Promise.withResolvers<void>()
  readonly #abort = (): void => {
    this.#aborted = true
    this.#leave()
  }

  /** @throws the reason when the signal is aborted. */
  constructor({ past, onLeft, signal }: JobFollowerParts) {
    signal?.throwIfAborted()
    this.#events = new EventDigest(past)
    this.#onLeft = onLeft
    this.#signal = signal
    signal?.addEventListener('abort', this.#abort, { once: true })
  }

  tell(event: TimedEvent): void {
    this.#events.add(event)
    this.#wake()
  }

  end(final: FinalRecord): void {
    this.#final = final
    this.#wake()
  }

  async next(): Promise<IteratorResult<ImportRecord, undefined>> {
    for (;;) {
      if (this.#left) return this.#nothing()
      const event = this.#events.take()
      if (event !== undefined) return { value: event, done: false }
      if (this.#final !== undefined) {
        this.#leave()
        return { value: this.#final, done: false }
      }
      await this.#changed.promise
    }
  }

  return(): Promise<IteratorResult<ImportRecord, undefined>> {
    this.#leave()
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** @throws the reason when it was the signal that ended it. */
  #nothing(): IteratorResult<ImportRecord, undefined> {
    if (this.#aborted) this.#signal?.throwIfAborted()
    return { value: undefined, done: true }
  }

  #leave(): void {
    if (this.#left) return
    this.#left = true
    this.#signal?.removeEventListener('abort', this.#abort)
    this.#onLeft(this)
    this.#wake()
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

import type { Abortable } from '../../storage/abortable.ts'
import type { NewContentEvent } from '../../storage/metadata/event-records.ts'
import { BatchWriter, type BatchWriterOptions } from '../batch-writer.ts'

/** What handlers tell of pulls. Never waits and never fails. */
export interface PullLog {
  record(event: NewContentEvent): void
}

export interface PullRecorderOptions
  extends Pick<BatchWriterOptions<NewContentEvent>, 'log' | 'onDropped' | 'limit' | 'everyMs'> {
  readonly records: {
    addEvents(events: readonly NewContentEvent[], options?: Abortable): Promise<void>
  }
}

/** A pull changes nothing, so nothing is written in its transaction: its event is written a moment later. */
export class PullRecorder implements PullLog, AsyncDisposable {
  readonly #writer: BatchWriter<NewContentEvent>

  constructor({ records, ...options }: PullRecorderOptions) {
    this.#writer = new BatchWriter({
      ...options,
      what: 'events of pulls',
      write: async (events, { signal }) => {
        await records.addEvents(events, { signal })
        return events.length
      },
    })
  }

  record(event: NewContentEvent): void {
    this.#writer.add(event)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}

import type { EventRecords, NewEvent } from '../../storage/metadata/event-records.ts'
import { BatchWriter, type BatchWriterOptions } from '../batch-writer.ts'

/** What handlers tell of pulls. Never waits and never fails. */
export interface PullLog {
  record(event: NewEvent): void
}

export interface PullRecorderOptions
  extends Pick<BatchWriterOptions<NewEvent>, 'log' | 'onDropped' | 'limit' | 'everyMs'> {
  readonly records: Pick<EventRecords, 'addEvents'>
}

/** A pull changes nothing, so nothing is written in its transaction: its event is written a moment later. */
export class PullRecorder implements PullLog, AsyncDisposable {
  readonly #writer: BatchWriter<NewEvent>

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

  record(event: NewEvent): void {
    this.#writer.add(event)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}

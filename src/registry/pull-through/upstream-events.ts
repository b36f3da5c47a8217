import type { EventRecords, NewEvent } from '../../storage/metadata/event-records.ts'
import { BatchWriter, type BatchWriterOptions } from '../batch-writer.ts'
import type { UpstreamBlock, UpstreamObserver } from './configured-upstreams.ts'

export interface UpstreamEventsOptions extends Pick<BatchWriterOptions<NewEvent>, 'log' | 'everyMs'> {
  readonly records: Pick<EventRecords, 'addEvents'>
  readonly now?: (() => Date) | undefined
}

/** Events that may wait while the database is away: each upstream has few. */
const limit = 1_000
/** Characters; it may be another registry's words. */
const maxReason = 500

/**
 * Tells that upstreams are left alone, and that they answer again. Nothing is changed by either, so the events are
 * written a moment later, and those of a process that is killed are lost.
 */
export class UpstreamEvents
  implements Required<Pick<UpstreamObserver, 'blocked' | 'freed'>>, AsyncDisposable
{
  readonly #writer: BatchWriter<NewEvent>
  readonly #now: () => Date

  constructor({ records, now = () => new Date(), ...options }: UpstreamEventsOptions) {
    this.#now = now
    this.#writer = new BatchWriter({
      ...options,
      what: 'events of upstreams',
      limit,
      onDropped: () => {},
      write: async (events, { signal }) => {
        await records.addEvents(events, { signal })
        return events.length
      },
    })
  }

  blocked(upstream: string, { by, forMs, pullQuota }: UpstreamBlock): void {
    const at = this.#now()
    this.#writer.add({
      kind: 'upstream',
      action: 'block',
      upstream,
      why: by.code === 'throttled' ? 'throttled' : 'unavailable',
      reason: by.message.slice(0, maxReason),
      until: new Date(at.getTime() + forMs),
      ...(pullQuota === undefined ? {} : { pullsLeft: pullQuota.remaining }),
      at,
    })
  }

  freed(upstream: string): void {
    this.#writer.add({ kind: 'upstream', action: 'free', upstream, at: this.#now() })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}

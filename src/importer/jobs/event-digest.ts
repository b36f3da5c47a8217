import type { ImportEvent } from '../import-service.ts'

/** What happened, and when it did in milliseconds. */
export interface TimedEvent {
  readonly event: ImportEvent
  readonly at: number
}

/**
 * Events of one import, of which only those are kept that still say something: one for each layer at most, however many
 * there were. They come out in an order in which they could have happened.
 */
export class EventDigest {
  /** By layer, or by type for those that are about none. */
  readonly #events = new Map<number | string, TimedEvent>()

  constructor(events: Iterable<TimedEvent> = []) {
    for (const event of events) this.add(event)
  }

  add(timed: TimedEvent): void {
    const { event } = timed
    // What was told of layers before is about another state of things.
    if (event.type === 'resolved') this.#events.clear()
    // Whoever works on a layer waits no more.
    if ('layer' in event) this.#events.delete('waiting')
    const key = 'layer' in event ? event.layer : event.type
    this.#events.delete(key)
    this.#events.set(key, timed)
  }

  /** Takes the oldest one out. */
  take(): ImportEvent | undefined {
    for (const [key, { event }] of this.#events) {
      this.#events.delete(key)
      return event
    }
    return undefined
  }

  /** Oldest first. */
  all(): TimedEvent[] {
    return [...this.#events.values()]
  }
}

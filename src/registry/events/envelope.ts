import type { EventAction, RegistryEvent } from '../../storage/metadata/event-records.ts'

/** How a kind of receiver wants to be told. */
export interface Envelope {
  /** What it calls the action; undefined for events that it is not told of, because others tell the same. */
  actionOf(event: RegistryEvent): EventAction | undefined
  /** @param events one at least. */
  wrap(events: readonly RegistryEvent[]): Message
}

export interface Message {
  /** Media type of the body. */
  readonly type: string
  readonly body: string
}

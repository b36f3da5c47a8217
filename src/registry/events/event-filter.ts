import { isContentEvent, type RegistryEvent } from '../../storage/metadata/event-records.ts'
import { namePattern } from '../../storage/name-pattern.ts'
import type { EventEndpoint } from './endpoint.ts'
import type { Envelope } from './envelope.ts'

/** What one request tells; none when it only says how far there is nothing to tell. */
export interface EventBatch {
  readonly events: readonly RegistryEvent[]
  /** The position that has been reached when they have been told. */
  readonly upTo: number
}

/** Cuts a page of events into requests, and leaves out what the endpoint does not want to hear of. */
export function eventBatches(
  endpoint: Pick<EventEndpoint, 'kinds' | 'repositories' | 'actions' | 'batch'>,
  envelope: Pick<Envelope, 'actionOf'>,
): (events: readonly RegistryEvent[]) => EventBatch[] {
  const patterns = endpoint.repositories.map(namePattern)
  const kinds: ReadonlySet<string> = new Set(endpoint.kinds)
  const actions: ReadonlySet<string> = new Set(endpoint.actions)
  const wants = (event: RegistryEvent): boolean => {
    const action = envelope.actionOf(event)
    if (action === undefined || !kinds.has(event.kind)) return false
    if (!isContentEvent(event)) return true
    if (!actions.has(action)) return false
    return patterns.some(pattern => pattern.test(event.repository))
  }
  return events => {
    const batches: EventBatch[] = []
    const wanted = events.filter(wants)
    for (let start = 0; start < wanted.length; start += endpoint.batch) {
      const batch = wanted.slice(start, start + endpoint.batch)
      batches.push({ events: batch, upTo: batch.at(-1)?.position ?? 0 })
    }
    const last = events.at(-1)?.position
    if (last !== undefined && last !== batches.at(-1)?.upTo) batches.push({ events: [], upTo: last })
    return batches
  }
}

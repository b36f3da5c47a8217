import type { EventAction, EventKind, RegistryEvent } from '../../storage/metadata/event-records.ts'
import type { Envelope } from './envelope.ts'

/** CloudEvents 1.0, JSON format, sections 3 and 4. */
const eventType = 'application/cloudevents+json; charset=utf-8'
const batchType = 'application/cloudevents-batch+json; charset=utf-8'

const verbs: Readonly<Record<EventAction, string>> = {
  push: 'pushed',
  pull: 'pulled',
  mount: 'mounted',
  delete: 'deleted',
  tag: 'set',
}

/**
 * CloudEvents 1.0 in structured mode, such as `io.varve.manifest.pushed` and `io.varve.tag.set`. `sequence` is the
 * position, in a form that sorts as text (the extension of that name).
 *
 * @param source URI of the registry; the same for all replicas, or a receiver could not tell repeats.
 * @param isBatch whether a request has a list of events, even of one.
 */
export function cloudEventsEnvelope(source: string, isBatch: boolean): Envelope {
  return {
    actionOf: event => event.action,
    wrap: events => {
      const documents = events.map(event => toDocument(event, source))
      if (isBatch) return { type: batchType, body: JSON.stringify(documents) }
      return { type: eventType, body: JSON.stringify(documents[0]) }
    },
  }
}

function toDocument(event: RegistryEvent, source: string): object {
  const { repository, digest, tag, mediaType, size, previous, from, by } = event
  return {
    specversion: '1.0',
    id: event.id,
    source,
    type: typeOf(event.kind, event.action),
    subject: event.kind === 'tag' ? `${repository}:${tag}` : `${repository}@${digest}`,
    time: event.at.toISOString(),
    sequence: String(event.position).padStart(16, '0'),
    datacontenttype: 'application/json',
    data: { repository, digest, tag, mediaType, size, previous, from, by },
  }
}

function typeOf(kind: EventKind, action: EventAction): string {
  return `io.varve.${kind}.${verbs[action]}`
}

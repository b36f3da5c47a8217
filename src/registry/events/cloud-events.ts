import {
  type EventAction,
  type EventKind,
  isContentEvent,
  type RegistryEvent,
} from '../../storage/metadata/event-records.ts'
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
  start: 'started',
  end: 'ended',
  block: 'blocked',
  free: 'freed',
}

/**
 * CloudEvents 1.0 in structured mode, such as `io.varve.manifest.pushed`, `io.varve.tag.set` and `io.varve.mirror.ended`. `sequence` is the
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
  return {
    specversion: '1.0',
    id: event.id,
    source,
    type: typeOf(event.kind, event.action),
    subject: subjectOf(event),
    time: event.at.toISOString(),
    sequence: String(event.position).padStart(16, '0'),
    datacontenttype: 'application/json',
    data: dataOf(event),
  }
}

/** What it happened to: one tag, manifest or blob, one job, one upstream. */
function subjectOf(event: RegistryEvent): string {
  if (event.kind === 'mirror') return event.job
  if (event.kind === 'upstream') return event.upstream
  const { kind, repository, digest, tag } = event
  return kind === 'tag' ? `${repository}:${tag}` : `${repository}@${digest}`
}

/** What is neither in the type nor in another attribute. */
function dataOf(event: RegistryEvent): object {
  if (isContentEvent(event)) {
    const { repository, digest, tag, mediaType, size, previous, from, by } = event
    return { repository, digest, tag, mediaType, size, previous, from, by }
  }
  const { id: _id, position: _position, at: _at, kind: _kind, action: _action, ...facts } = event
  return facts
}

function typeOf(kind: EventKind, action: EventAction): string {
  return `io.varve.${kind}.${verbs[action]}`
}

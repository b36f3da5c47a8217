import {
  type ContentEvent,
  type EventAction,
  isContentEvent,
  type RegistryEvent,
} from '../../storage/metadata/event-records.ts'
import { blobPath, manifestPath } from '../locations.ts'
import type { Envelope } from './envelope.ts'

/** Which registry tells: its address, and something that is different for each process. */
export interface EventSource {
  readonly addr: string
  readonly instanceID: string
}

/** distribution, notifications/event.go: the version is part of the type. */
const envelopeType = 'application/vnd.docker.distribution.events.v2+json'

/**
 * As distribution tells of events: {"events": [{id, timestamp, action, target, request, actor, source}]}. It knows no
 * tags apart from pushes: each tag that is set is a push that names it, and a push by digest one that names none. A
 * deletion names a tag or a digest, never both. It has no place for what is not of the content.
 */
export function distributionEnvelope(source: EventSource): Envelope {
  return {
    actionOf,
    wrap: events => ({
      type: envelopeType,
      body: JSON.stringify({ events: events.filter(isContentEvent).map(event => toRecord(event, source)) }),
    }),
  }
}

function actionOf(event: RegistryEvent): EventAction | undefined {
  if (!isContentEvent(event)) return undefined
  const { kind, action, tag } = event
  if (kind === 'manifest' && action === 'push' && tag !== undefined) return undefined
  return action === 'tag' ? 'push' : action
}

function toRecord(event: ContentEvent, source: EventSource): object {
  const { by } = event
  return {
    id: event.id,
    timestamp: event.at.toISOString(),
    action: actionOf(event) ?? event.action,
    target: targetOf(event),
    request: {
      id: by?.requestId ?? '',
      addr: by?.address,
      host: by?.host,
      method: by?.method ?? '',
      useragent: by?.userAgent ?? '',
    },
    actor: { name: by?.account },
    source,
  }
}

function targetOf({
  kind,
  action,
  repository,
  digest,
  tag,
  mediaType,
  size,
  from,
  by,
}: ContentEvent): object {
  if (kind === 'tag' && action === 'delete') return { repository, tag }
  const path = kind === 'blob' ? blobPath(repository, digest) : manifestPath(repository, digest)
  return {
    mediaType: kind === 'blob' ? 'application/octet-stream' : mediaType,
    size,
    digest,
    length: size,
    repository,
    fromRepository: from,
    url: by === undefined || by.host === '' ? undefined : `${by.scheme}://${by.host}${path}`,
    tag,
  }
}

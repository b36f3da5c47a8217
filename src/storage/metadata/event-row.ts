import type { Selectable } from 'kysely'
import * as z from 'zod'
import type { Requester } from '../requester.ts'
import type { ContentAction, NewEvent, RegistryEvent } from './event-records.ts'
import { runDetailOf, runFactsIn } from './run-event-row.ts'
import type { EventRow } from './rows/events.ts'

export function toEvent(row: Selectable<EventRow> & { readonly position: number }): RegistryEvent {
  const numbered = { position: row.position, id: row.id, at: new Date(row.at) }
  const { kind, action, repository, digest } = row
  if (kind === 'mirror' || kind === 'upstream')
    return { ...numbered, ...runFactsIn({ kind, action, detail: row.detail }) }
  if (repository === null || digest === null || !isOfContent(action))
    throw new Error(`the event ${row.id} is half one of the content`)
  return {
    ...numbered,
    kind,
    action,
    repository,
    digest,
    tag: row.tag ?? undefined,
    mediaType: row.media_type ?? undefined,
    size: row.size ?? undefined,
    previous: row.previous ?? undefined,
    from: row.from_repository ?? undefined,
    by: row.requester === null ? undefined : parseRequester(row.requester),
  }
}

/** What is different for each kind. */
export function columnsOf(
  event: NewEvent,
): Omit<EventRow, 'serial' | 'position' | 'id' | 'at' | 'kind' | 'action'> {
  if (event.kind === 'mirror' || event.kind === 'upstream')
    return { ...noContent, detail: runDetailOf(event) }
  const { by } = event
  return {
    repository: event.repository,
    digest: event.digest,
    tag: event.tag ?? null,
    media_type: event.mediaType ?? null,
    size: event.size ?? null,
    previous: event.previous ?? null,
    from_repository: event.from ?? null,
    requester: by === undefined ? null : JSON.stringify(by),
    detail: null,
  }
}

const noContent = {
  repository: null,
  digest: null,
  tag: null,
  media_type: null,
  size: null,
  previous: null,
  from_repository: null,
  requester: null,
}

function isOfContent(action: EventRow['action']): action is ContentAction {
  return action !== 'start' && action !== 'end' && action !== 'block' && action !== 'free'
}

const requesterSchema = z.object({
  requestId: z.string(),
  address: z.string(),
  scheme: z.enum(['http', 'https']),
  host: z.string(),
  method: z.string(),
  userAgent: z.string(),
  account: z.string().optional(),
})

export function parseRequester(text: string): Requester {
  return requesterSchema.parse(JSON.parse(text))
}

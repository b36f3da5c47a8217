import type { Selectable } from 'kysely'
import * as z from 'zod'
import type { Requester } from '../requester.ts'
import type { RegistryEvent } from './event-records.ts'
import type { EventRow } from './schema.ts'

export function toEvent(row: Selectable<EventRow> & { readonly position: number }): RegistryEvent {
  return {
    position: row.position,
    id: row.id,
    at: new Date(row.at),
    kind: row.kind,
    action: row.action,
    repository: row.repository,
    digest: row.digest,
    tag: row.tag ?? undefined,
    mediaType: row.media_type ?? undefined,
    size: row.size ?? undefined,
    previous: row.previous ?? undefined,
    from: row.from_repository ?? undefined,
    by: row.requester === null ? undefined : parseRequester(row.requester),
  }
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

function parseRequester(text: string): Requester {
  return requesterSchema.parse(JSON.parse(text))
}

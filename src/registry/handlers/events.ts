import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type {
  EventBounds,
  EventKind,
  EventRecords,
  RegistryEvent,
} from '../../storage/metadata/event-records.ts'
import type { Handler } from '../handler.ts'

export type ReadableEvents = Pick<EventRecords, 'listEvents' | 'eventBounds'>

interface StreamRequest {
  /** Undefined: from the oldest event that is kept. */
  readonly after: number | 'latest' | undefined
  readonly limit: number
  readonly waitMs: number
  readonly wants: (event: RegistryEvent) => boolean
}

/** How often it is looked for new events. */
const pollMs = 500
/** Events that are read at once. */
const pageSize = 500

const defaultLimit = 1000
const maxLimit = 1_000_000
const maxWaitSeconds = 60

/**
 * GET /events?after=POSITION&limit=EVENTS&wait=SECONDS&kinds=KIND,…: events after a position as lines of JSON. It ends after
 * `limit` events, or when none has come for `wait` seconds; who wants more asks again after the last one's position.
 * `after=latest` begins with what happens from now on; the header `Varve-Events-After` says which position that is.
 *
 * @param stopping ends what is being sent, after a whole line.
 * @throws DomainError `out_of_range` when events after the position have been deleted, or there is no such position.
 */
export function createEventStreamHandler(events: ReadableEvents, stopping: AbortSignal): Handler {
  return async ({ query, signal }) => {
    const { after: given, ...rest } = parseStream(query)
    const after = typeof given === 'number' ? given : await positionOf(given, events, { signal })
    const first = await events.listEvents({ after, limit: Math.min(rest.limit, pageSize) }, { signal })
    if (first[0]?.position !== after + 1) checkBounds(after, await events.eventBounds({ signal }))
    const ending = AbortSignal.any([signal, stopping])
    const lines = follow(events, first, { after, ...rest }, ending)
    return {
      status: 200,
      headers: { 'Cache-Control': 'no-store', 'Varve-Events-After': String(after) },
      content: { type: 'application/x-ndjson', stream: Readable.from(lines, { objectMode: false }) },
    }
  }
}

async function positionOf(
  place: 'latest' | undefined,
  events: ReadableEvents,
  options: Abortable,
): Promise<number> {
  const { oldest, newest } = await events.eventBounds(options)
  return place === 'latest' ? Math.max(newest, oldest - 1) : oldest - 1
}

/** Pages as text. Events that were deleted meanwhile end it: asking again then says so. */
async function* follow(
  events: ReadableEvents,
  first: readonly RegistryEvent[],
  { after, limit, waitMs, wants }: Omit<StreamRequest, 'after'> & { readonly after: number },
  signal: AbortSignal,
): AsyncGenerator<string> {
  let position = after
  let page = first
  let quietSince = performance.now()
  for (let left = limit; ; ) {
    if (page.length > 0) {
      if (page[0]?.position !== position + 1) return
      position += page.length
      const wanted = page.filter(wants)
      left -= wanted.length
      if (wanted.length > 0) {
        yield wanted.map(event => `${JSON.stringify(event)}\n`).join('')
        quietSince = performance.now()
      }
    } else {
      const quietMs = performance.now() - quietSince
      if (quietMs >= waitMs) return
      await sleep(Math.min(pollMs, waitMs - quietMs), undefined, { signal }).catch(() => {})
    }
    if (left <= 0 || signal.aborted) return
    try {
      page = await events.listEvents({ after: position, limit: Math.min(left, pageSize) }, { signal })
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
  }
}

function checkBounds(after: number, { oldest, newest }: EventBounds): void {
  if (after >= oldest - 1 && after <= newest) return
  throw new DomainError(
    'out_of_range',
    after > newest
      ? `There is no event at ${after} yet, so the database is another one than it was; begin at ${oldest - 1}.`
      : `Events after ${after} have been deleted; begin at ${oldest - 1}, and look at what is there now.`,
    { resource: 'event', name: String(oldest) },
  )
}

function parseStream(query: URLSearchParams): StreamRequest {
  return {
    after: query.get('after') === 'latest' ? 'latest' : numberOf(query, 'after', Number.MAX_SAFE_INTEGER),
    limit: Math.max(numberOf(query, 'limit', maxLimit) ?? defaultLimit, 1),
    waitMs: (numberOf(query, 'wait', maxWaitSeconds) ?? 0) * 1000,
    wants: wantsOf(query),
  }
}

const kinds: Readonly<Record<EventKind, true>> = {
  manifest: true,
  blob: true,
  tag: true,
  mirror: true,
  upstream: true,
}

function wantsOf(query: URLSearchParams): StreamRequest['wants'] {
  const text = query.get('kinds')
  if (text === null) return () => true
  const wanted = new Set(text.split(','))
  const unknown = [...wanted].find(kind => !Object.hasOwn(kinds, kind))
  if (unknown === undefined) return ({ kind }) => wanted.has(kind)
  throw new DomainError(
    'invalid',
    `kinds=${unknown.slice(0, 32)} is no kind of event; there are ${Object.keys(kinds).join(', ')}.`,
    { resource: 'request', name: 'kinds' },
  )
}

/** What is larger than `max` is cut to that. */
function numberOf(query: URLSearchParams, name: string, max: number): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  if (/^\d+$/.test(text)) return Math.min(Number(text), max)
  throw new DomainError('invalid', `${name}=${text.slice(0, 32)} is no whole number from 0.`, {
    resource: 'request',
    name,
  })
}

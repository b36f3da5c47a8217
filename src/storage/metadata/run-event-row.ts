import * as z from 'zod'
import type { EventRow } from './rows/events.ts'
import type { MirrorJobName, MirrorRunId } from './mirror-records.ts'
import type { RunFacts, RunKind } from './run-events.ts'

/** Facts of a run as they are stored; kind, action and time have columns of their own. */
export function runDetailOf({
  kind: _kind,
  action: _action,
  at: _at,
  ...facts
}: RunFacts & { readonly at: Date }): string {
  return JSON.stringify(facts)
}

interface StoredRunEvent extends Pick<EventRow, 'action' | 'detail'> {
  readonly kind: RunKind
}

export function runFactsIn({ kind, action, detail }: StoredRunEvent): RunFacts {
  return schema.parse({ ...(JSON.parse(detail ?? '{}') as object), kind, action })
}

const time = z.string().transform(text => new Date(text))
const count = z.number()

// What they are is in the rows of the runs; nothing else writes them.
const run = z.object({
  kind: z.literal('mirror'),
  job: z.string().transform(name => name as MirrorJobName),
  run: z.string().transform(id => id as MirrorRunId),
  trigger: z.enum(['schedule', 'webhook', 'api', 'command']),
  wishedBy: z.string().nullable(),
})

const schema = z.discriminatedUnion('action', [
  run.extend({ action: z.literal('start') }),
  run.extend({
    action: z.literal('end'),
    startedAt: time,
    outcome: z.enum(['ok', 'partial', 'failed', 'paused', 'stopped', 'interrupted']),
    reason: z.string().optional(),
    totals: z.object({
      copied: count,
      unchanged: count,
      skipped: count,
      failed: count,
      deleted: count,
      requests: count,
      bytesReceived: count,
      bytesSent: count,
      blobsCopied: count,
      blobsMounted: count,
      pullsLeft: count.optional(),
    }),
    lastSuccessAt: time.optional(),
  }),
  z.object({
    kind: z.literal('upstream'),
    action: z.literal('block'),
    upstream: z.string(),
    why: z.enum(['throttled', 'unavailable']),
    reason: z.string(),
    until: time,
    pullsLeft: count.optional(),
  }),
  z.object({ kind: z.literal('upstream'), action: z.literal('free'), upstream: z.string() }),
])

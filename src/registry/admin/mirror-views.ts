import * as z from 'zod'

/** What administration answers of mirror jobs, as JSON has it; as `views.ts`. */

const moment = z.iso.datetime()
const count = z.int()

export const resultOutcomes = ['copied', 'unchanged', 'skipped', 'failed', 'deleted'] as const

/** `running` and `paused` go on; a run that is `interrupted` is begun again by another. */
export const runStates = ['running', 'paused', 'ok', 'partial', 'failed', 'stopped', 'interrupted'] as const

export const mirrorRunView = z.object({
  id: z.string(),
  job: z.string(),
  trigger: z.enum(['schedule', 'webhook', 'api', 'command']),
  by: z.string().nullable(),
  startedAt: moment,
  state: z.enum(runStates),
  reason: z.string().nullable(),
  endedAt: moment.nullable(),
  /** When a paused run goes on. */
  resumeAt: moment.nullable(),
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
    /** What the source has last said may still be pulled; null where it says nothing. */
    pullsLeft: count.nullable(),
  }),
})
export type MirrorRunView = z.output<typeof mirrorRunView>

export const mirrorJobView = z.object({
  name: z.string(),
  /** Those of the configuration are changed there only. */
  origin: z.enum(['configuration', 'administration']),
  isEnabled: z.boolean(),
  /** `host[:port]`; null: this registry. */
  source: z.string().nullable(),
  target: z.string().nullable(),
  cron: z.string().nullable(),
  /** Without jitter; null: only when somebody wishes it. */
  nextStart: moment.nullable(),
  /** Whether somebody wishes that it runs soon. */
  isWished: z.boolean(),
  updatedAt: moment.nullable(),
  /** The newest run; null: there was none. */
  last: mirrorRunView.nullable(),
})
export type MirrorJobView = z.output<typeof mirrorJobView>

/** With the whole job, as `src/mirror-job.ts` has it. */
export const wholeMirrorJobView = mirrorJobView.extend({ definition: z.record(z.string(), z.unknown()) })

export const mirrorWishView = z.object({ job: z.string(), wishedAt: moment })

export const mirrorResultView = z.object({
  serial: z.int(),
  source: z.string(),
  target: z.string(),
  /** Null: what is told is about the whole repository. */
  tag: z.string().nullable(),
  outcome: z.enum(resultOutcomes),
  digest: z.string().nullable(),
  reason: z.string().nullable(),
  bytes: z.int(),
  at: moment,
})
export type MirrorResultView = z.output<typeof mirrorResultView>

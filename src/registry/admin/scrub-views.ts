import * as z from 'zod'

/** What administration answers of the scrub, as JSON has it; as `views.ts`. */

const moment = z.iso.datetime()
const count = z.int()

export const scrubStatusView = z.object({
  /** Of the configuration; 0: nothing is checked unless somebody asks for it. */
  bytesPerSecond: count,
  /** Of the last pass that began, and of the last that ended. */
  beganAt: moment.nullable(),
  endedAt: moment.nullable(),
  /** What the pass that is under way looks at, and what it has looked at last; null between passes. */
  phase: z.enum(['blobs', 'objects']).nullable(),
  after: z.string().nullable(),
  pass: z.object({
    /** Blobs that there were when it began, that it has looked at, and that it newly found missing. */
    known: count,
    blobs: count,
    missing: count,
    takesAll: z.boolean(),
    /** When it stopped because too many are missing. */
    stoppedAt: moment.nullable(),
  }),
  /** Blobs that are quarantined now. */
  faults: z.object({ corrupt: count, missing: count }),
  /** Objects that nothing names now. */
  strays: z.object({ objects: count, bytes: count }),
  /** Since there was a database. */
  totals: z.object({
    blobs: count,
    bytes: count,
    corrupt: count,
    missing: count,
    strays: count,
    healed: count,
  }),
})
export type ScrubStatusView = z.output<typeof scrubStatusView>

export const scrubRunView = z.object({
  /** `more`: there is more to do; `elsewhere`: another process is at it, and nothing was done. */
  outcome: z.enum(['done', 'more', 'stopped', 'elsewhere', 'closed', 'off']),
  blobs: count,
  bytes: count,
  corrupt: count,
  missing: count,
  healed: count,
  strays: count,
  discarded: count,
  unsettled: count,
})
export type ScrubRunView = z.output<typeof scrubRunView>

export const blobFaultView = z.object({
  digest: z.string(),
  kind: z.enum(['corrupt', 'missing']),
  /** What was found in its place. */
  detail: z.string(),
  /** Bytes, as they were pushed. */
  size: count,
  objectKey: z.string(),
  foundAt: moment,
  /** Some of those that have the blob, each with a tag that leads to it. */
  repositories: z.array(z.object({ repository: z.string(), tag: z.string().nullable() })),
})
export type BlobFaultView = z.output<typeof blobFaultView>

export const strayView = z.object({
  key: z.string(),
  size: count,
  /** Of its bytes, once they were read. */
  digest: z.string().nullable(),
  foundAt: moment,
})
export type StrayView = z.output<typeof strayView>

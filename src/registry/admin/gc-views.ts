import * as z from 'zod'

/** What administration answers of the garbage collection, as JSON has it; as `views.ts`. */

const moment = z.iso.datetime()
const count = z.int()

/** What has gone, or goes in one tick. */
const gone = {
  links: count,
  blobs: count,
  manifests: count,
  repositories: count,
  objects: count,
  bytes: count,
}

export const gcStatusView = z.object({
  /** `collect.enabled` of the configuration. */
  isEnabled: z.boolean(),
  pausedAt: moment.nullable(),
  pausedBy: z.string().nullable(),
  /** When it was last looked for work. */
  tickedAt: moment.nullable(),
  /** Since there was a database. */
  totals: z.object(gone),
  waiting: z.object({
    /** That are to be looked at again, now or later: what was pushed lately, too. */
    links: count,
    manifests: count,
    /** Objects that are to be deleted. */
    objects: count,
    bytes: count,
    objectsSince: moment.nullable(),
    /** That can be taken back. */
    deletedManifests: count,
    /** Theirs, and of the blobs that nothing else names. */
    deletedBytes: count,
  }),
})
export type GcStatusView = z.output<typeof gcStatusView>

export const gcTickView = z.object({
  /** `more`: there is more to do; `elsewhere`: another process is at it, and nothing was done. */
  outcome: z.enum(['done', 'more', 'paused', 'closed', 'elsewhere']),
  ...gone,
  /** Objects that could not be deleted and are tried again. */
  failed: count,
  /** Why, of some of them. */
  failures: z.array(z.string()),
})
export type GcTickView = z.output<typeof gcTickView>

const holdingView = z.object({
  repository: z.string(),
  kind: z.enum(['blob', 'manifest']),
  mediaType: z.string().nullable(),
  /** When it is looked at again; null: something keeps it. */
  reviewAt: moment.nullable(),
  /** Of a manifest: since when nothing may have named it, or when it was deleted. Of a blob: until when it was promised. */
  since: moment,
  subject: z.string().nullable(),
  /** From a tag down to the digest; null when no tag leads to it. */
  path: z.object({ tag: z.string(), digests: z.array(z.string()) }).nullable(),
  /** The manifest that keeps it without any tag. */
  keptBy: z.string().nullable(),
  /** The deleted manifest that keeps it as long as that can be taken back, when nothing else does. */
  keptByDeleted: z.object({ digest: z.string(), deletedAt: moment, goesAt: moment }).nullable(),
  /** Until when it can be taken back, if it is a manifest that was deleted. */
  goesAt: moment.nullable(),
})

export const gcExplanationView = z.object({
  digest: z.string(),
  holdings: z.array(holdingView),
  /** Why nobody gets the blob until it is pushed again. */
  fault: z.object({ kind: z.enum(['corrupt', 'missing']), detail: z.string(), foundAt: moment }).nullable(),
  /** When the object of a blob of this digest may be deleted, that nobody holds any more. */
  objectGoesAt: moment.nullable(),
})
export type GcExplanationView = z.output<typeof gcExplanationView>
export type GcHoldingView = z.output<typeof holdingView>

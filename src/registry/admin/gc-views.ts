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
  /** Of a manifest: since when nothing may have named it. Of a blob: until when it was promised to stay. */
  since: moment,
  subject: z.string().nullable(),
  /** From a tag down to the digest; null when no tag leads to it. */
  path: z.object({ tag: z.string(), digests: z.array(z.string()) }).nullable(),
  /** The manifest that keeps it without any tag. */
  keptBy: z.string().nullable(),
})

export const gcExplanationView = z.object({
  digest: z.string(),
  holdings: z.array(holdingView),
  /** When the object of a blob of this digest may be deleted, that nobody holds any more. */
  objectGoesAt: moment.nullable(),
})
export type GcExplanationView = z.output<typeof gcExplanationView>
export type GcHoldingView = z.output<typeof holdingView>

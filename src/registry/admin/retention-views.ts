import * as z from 'zod'

/** What administration answers of the retention, as JSON has it; as `views.ts`. */

const moment = z.iso.datetime()
const count = z.int()

export const retentionPolicyView = z.object({
  id: z.string(),
  /** Null: of the configuration, where its name is its id. */
  tenant: z.string().nullable(),
  policy: z.record(z.string(), z.unknown()),
  createdAt: moment.nullable(),
})
export type RetentionPolicyView = z.output<typeof retentionPolicyView>

export const retentionVerdictView = z.object({
  /** Null: a manifest without a tag. */
  tag: z.string().nullable(),
  digest: z.string(),
  /** `wouldGo`: by a policy that only shows what it would do. */
  outcome: z.enum(['kept', 'goes', 'wouldGo']),
  reason: z.string(),
  /** When the tag was set last, or since when the manifest has none. */
  since: moment,
  pulledAt: moment.nullable(),
  /** When the tag goes by itself, whatever policies say. */
  expiresAt: moment.nullable(),
})
export type RetentionVerdictView = z.output<typeof retentionVerdictView>

export const retentionStatusView = z.object({
  /** `retention.enabled` of the configuration. */
  isEnabled: z.boolean(),
  /** With the garbage collection. */
  pausedAt: moment.nullable(),
  isUnderWay: z.boolean(),
  /** Of the run that is under way, or else of the last one. */
  beganAt: moment.nullable(),
  endedAt: moment.nullable(),
  nextAt: moment.nullable(),
  policies: count,
  /** Of that run. */
  repositories: count,
  tags: count,
  manifests: count,
  /** That changed in the moment in which they were to go, and so stayed. */
  skipped: count,
})
export type RetentionStatusView = z.output<typeof retentionStatusView>

export const retentionTickView = z.object({
  /** `more`: there is more to do; `elsewhere`: another process is at it, and nothing was done. */
  outcome: z.enum(['done', 'more', 'paused', 'elsewhere']),
  /** Tags whose own time had come. */
  expired: count,
  /** Dropped by policies. */
  tags: count,
  manifests: count,
  skipped: count,
  repositories: count,
})
export type RetentionTickView = z.output<typeof retentionTickView>

export const tagExpiryView = z.object({
  repository: z.string(),
  tag: z.string(),
  /** Null: never by itself. */
  expiresAt: moment.nullable(),
})
export type TagExpiryView = z.output<typeof tagExpiryView>

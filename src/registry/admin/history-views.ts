import * as z from 'zod'

/** What administration answers about tags, what they named before, and what was deleted; as `views.ts`. */

const moment = z.iso.datetime()
const digest = z.string()

export const tagView = z.object({
  tag: z.string(),
  digest,
  /** When it was set last. */
  pushedAt: moment,
  /** When its manifest was pulled last; null: never, or not since that is written down. */
  pulledAt: moment.nullable(),
  /** When it goes by itself. */
  expiresAt: moment.nullable(),
  /** Whether a rule of immutable tags keeps it. */
  isImmutable: z.boolean(),
})
export type TagView = z.output<typeof tagView>

export const tagChangeView = z.object({
  at: moment,
  cause: z.enum(['push', 'delete', 'restore', 'expire', 'rename']),
  /** What it names since then; null: it was deleted. */
  digest: digest.nullable(),
  /** What it named before; null: it was not there. */
  previous: digest.nullable(),
  account: z.string().nullable(),
  /** Whether the tag can be set to `digest`, or after a deletion to `previous`, now. */
  isRestorable: z.boolean(),
})
export type TagChangeView = z.output<typeof tagChangeView>

export const restoredTagView = z.object({
  tag: z.string(),
  digest,
  /** What the tag named until now; null: it was not there. */
  previous: digest.nullable(),
  /** Whether the manifest had been deleted. */
  wasDeleted: z.boolean(),
})
export type RestoredTagView = z.output<typeof restoredTagView>

export const deletedManifestView = z.object({
  digest,
  mediaType: z.string(),
  size: z.int(),
  deletedAt: moment,
  deletedBy: z.string().nullable(),
  /** Until when it can be taken back. */
  goesAt: moment,
  /** That it lost by the deletion. */
  tags: z.array(z.string()),
  /** False: somebody has deleted a blob that it names. */
  isRestorable: z.boolean(),
})
export type DeletedManifestView = z.output<typeof deletedManifestView>

import * as z from 'zod'

/** What administration answers about whole repositories, as JSON has it. */

const moment = z.iso.datetime()

const state = {
  name: z.string(),
  createdAt: moment,
  /** Null: it was not deleted. */
  deletedAt: moment.nullable(),
  /** When the last of what can be taken back goes; null: nothing can. */
  goesAt: moment.nullable(),
}

export const repositoryStateView = z.object(state)
export type RepositoryStateView = z.output<typeof repositoryStateView>

export const repositoryFactsView = z.object({
  ...state,
  manifests: z.int(),
  tags: z.int(),
  /** Of its manifests, and of all blobs that it links. */
  bytes: z.int(),
  /** Manifests that can be taken back. */
  deletedManifests: z.int(),
  pushedAt: moment.nullable(),
})
export type RepositoryFactsView = z.output<typeof repositoryFactsView>

export const movedView = z.object({ name: z.string(), manifests: z.int(), tags: z.int() })
export type MovedView = z.output<typeof movedView>

/** `lost`: manifests that could not be taken back, because something that they name is gone. */
export const restoredView = z.object({ ...movedView.shape, lost: z.int() })
export type RestoredView = z.output<typeof restoredView>

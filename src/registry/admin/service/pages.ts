import type * as z from 'zod'
import type { Page } from '../../../storage/metadata/page.ts'
import { maxPageSize } from '../../paging.ts'
import { type Listing, viewOf } from '../views.ts'

const defaultPageSize = 100

/** How long a listing may get that has no pages. */
export const maxUnpaged = 1000

export interface PageInput {
  readonly n?: number
  readonly last?: string
}

/**
 * One page of `list`, which is asked for one entry more than is shown, to know whether another page follows.
 * @param positionOf what `last` of the page after an entry is.
 */
export async function pageOf<Entry extends object, View extends z.ZodType>(
  { n = defaultPageSize, last }: PageInput,
  view: View,
  list: (page: Page) => Promise<readonly Entry[]>,
  positionOf: (entry: Entry) => string,
): Promise<Listing<z.output<View>> & { items: z.output<View>[] }> {
  const size = Math.min(n, maxPageSize)
  const found = await list({ limit: size + 1, after: last === '' ? undefined : last })
  const shown = found.slice(0, size)
  const lastShown = shown.at(-1)
  return {
    items: shown.map(entry => viewOf(view, entry)),
    next: lastShown === undefined || found.length <= size ? null : positionOf(lastShown),
  }
}

/** A listing that is never long. */
export function wholeOf<View extends z.ZodType>(
  view: View,
  entries: readonly object[],
): { items: z.output<View>[]; next: null } {
  return { items: entries.map(entry => viewOf(view, entry)), next: null }
}

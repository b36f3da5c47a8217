import pLimit from 'p-limit'
import type { Clone } from '../chain/chain-store.ts'
import type { ImageSummary } from '../import-service.ts'
import type { ImageRecord } from './image-catalog.ts'
import { type ImageUse, summaryOf, topChainOf } from './image-record.ts'
import type { LastUse } from './last-use.ts'

/** Markers that are looked at at once: a process may open only so many files. */
const openFiles = 32

/** In the order of the records. @param clones all that there are. */
export async function summariesOf(
  records: readonly ImageRecord[],
  clones: readonly Clone[],
  lastUse: Pick<LastUse, 'of'>,
): Promise<ImageSummary[]> {
  const ofChain = Map.groupBy(clones, ({ chain }) => chain)
  return await pLimit(openFiles).map(records, async record => {
    const its = ofChain.get(topChainOf(record)) ?? []
    return summaryOf(record, { lastUsedAt: await lastUse.of(record), clones: its.length })
  })
}

/** @param clones all that there are. */
export async function useOf(
  record: ImageRecord,
  clones: readonly Clone[],
  lastUse: Pick<LastUse, 'of'>,
): Promise<ImageUse> {
  const its = clones.filter(({ chain }) => chain === topChainOf(record))
  return { lastUsedAt: await lastUse.of(record), clones: its.length }
}

import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainId } from '../../../storage/chain-id.ts'
import { chainInUse, unknownChain } from '../chain-rules.ts'
import type { ChainSnapshot } from '../chain-store.ts'
import type { Builds } from './builds.ts'
import type { ChainIndex, Lineage } from './chain-index.ts'
import type { LineageDatasets } from './lineage-datasets.ts'

/** What a removal works on. */
export interface RemovalContext {
  readonly datasets: LineageDatasets
  readonly builds: Builds
  readonly index: ChainIndex
}

/**
 * Destroys every copy of a chain that the index knows. Answers whether any was where it was known to be.
 * @throws DomainError `not_found`; `conflict` while something needs it.
 */
export async function removeChain(
  context: RemovalContext,
  chain: ChainId,
  options: Abortable = {},
): Promise<boolean> {
  const { builds, index } = context
  const copies = index.copies(chain)
  if (copies.length === 0) throw unknownChain(chain)
  refuseWhileLonger(index, chain)
  let isRemoved = false
  for (const copy of copies) {
    const lineage = index.lineageOf(copy)
    if (lineage === undefined) continue
    const remove = async (now: Lineage): Promise<void> => {
      if (await removeSnapshot(context, now, chain)) isRemoved = true
    }
    if (!(await builds.exclusively(lineage.dataset, remove, options)) && index.has(lineage.dataset))
      throw chainInUse(chain, `an image is being built in ${lineage.dataset}`)
  }
  return isRemoved
}

/**
 * The head of the lineage has the content of its newest snapshot, or of one that was removed: so it is marked
 * first, and rolled back afterwards. A crash in between leaves an unfinished lineage, which `reclaim` ends; one without any
 * snapshot needs no mark for that.
 */
async function removeSnapshot(context: RemovalContext, lineage: Lineage, chain: ChainId): Promise<boolean> {
  const { datasets, index } = context
  const copy = lineage.snapshots.find(snapshot => snapshot.chain === chain)
  if (copy === undefined) return false
  // The lineage may hold more than was known before it was ours to change.
  refuseWhileLonger(index, chain)
  const rest = lineage.snapshots.filter(({ location }) => location !== copy.location)
  await release(context, lineage, copy)
  const needsMark = rest.length > 0 && !lineage.unfinished
  if (needsMark) await datasets.mark(lineage.dataset)
  try {
    await datasets.destroy(copy.location)
  } catch (error) {
    if (needsMark && isRefusal(error)) await datasets.unmark(lineage.dataset)
    await datasets.holds.hold([copy.location])
    if (isDomainError(error, 'conflict'))
      throw chainInUse(copy.chain, 'clones or longer chains were made from it', error)
    throw error
  }
  const settled = await datasets.settle({ ...lineage, snapshots: rest })
  if (settled === undefined) index.delete(lineage.dataset)
  else index.put(settled)
  return true
}

/** A command that was killed, or that nothing is known of, may have destroyed the snapshot: then the head needs its mark. */
function isRefusal(error: unknown): boolean {
  return isDomainError(error) && error.code !== 'unavailable'
}

async function release(
  { datasets }: RemovalContext,
  { holds }: Lineage,
  { location, chain }: ChainSnapshot,
): Promise<void> {
  if (await datasets.holds.release(location, holds.get(location) ?? 0)) return
  throw chainInUse(chain, `somebody else holds ${location}; zfs holds shows who, and zfs release lets it go`)
}

function refuseWhileLonger(index: ChainIndex, chain: ChainId): void {
  const longer = index.longerThan(chain)
  if (longer !== undefined) throw chainInUse(chain, `the longer chain ${longer.chain} needs it`)
}

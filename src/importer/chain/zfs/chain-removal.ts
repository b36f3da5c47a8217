import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainId } from '../../../storage/chain-id.ts'
import { chainInUse, unknownChain } from '../chain-rules.ts'
import type { Builds } from './builds.ts'
import type { ChainIndex, Lineage } from './chain-index.ts'
import type { LineageDatasets } from './lineage-datasets.ts'

/** What a removal works on; the index must be fresh. */
export interface RemovalContext {
  readonly datasets: LineageDatasets
  readonly builds: Builds
  readonly index: ChainIndex
}

/** Destroys every copy of a chain. @throws DomainError `not_found`; `conflict` while something needs it. */
export async function removeChain(
  context: RemovalContext,
  chain: ChainId,
  options: Abortable = {},
): Promise<void> {
  const { builds, index } = context
  const copies = index.copies(chain)
  if (copies.length === 0) throw unknownChain(chain)
  const longer = index.longerThan(chain)
  if (longer !== undefined) throw chainInUse(chain, `the longer chain ${longer.chain} needs it`)
  for (const copy of copies) {
    const lineage = index.lineageOf(copy)
    if (lineage === undefined) continue
    const remove = (now: Lineage) => removeSnapshot(context, now, chain)
    if (!(await builds.exclusively(lineage.dataset, remove, options)) && index.has(lineage.dataset))
      throw chainInUse(chain, `an image is being built in ${lineage.dataset}`)
  }
}

/**
 * The head of the lineage has the content of its newest snapshot, or of one that was removed: so it is marked
 * first, and rolled back afterwards. A crash in between leaves an unfinished lineage, which `reclaim` ends.
 */
async function removeSnapshot(context: RemovalContext, lineage: Lineage, chain: ChainId): Promise<void> {
  const { datasets, index } = context
  const copy = lineage.snapshots.find(snapshot => snapshot.chain === chain)
  if (copy === undefined) return
  await datasets.mark(lineage.dataset)
  const rest = lineage.snapshots.filter(({ location }) => location !== copy.location)
  let left: Lineage = lineage
  try {
    await datasets.destroy(copy.location)
    left = { ...lineage, snapshots: rest }
  } catch (error) {
    if (isDomainError(error, 'conflict'))
      throw chainInUse(copy.chain, 'clones or longer chains were made from it', error)
    throw error
  } finally {
    const settled = await datasets.settle(left)
    if (settled === undefined) index.delete(lineage.dataset)
    else index.put(settled)
  }
}

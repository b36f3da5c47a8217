import type { ChainId } from '../../storage/chain-id.ts'
import { type ChainLink, RemainingChains } from './chain-links.ts'
import type { PruneState } from './plan-prune.ts'

/**
 * The chains that nothing needs, neither an image nor a clone nor a publication nor a chain that stays: what an import that was
 * killed has finished, and what images have left whose records were deleted by hand. The longest first.
 * @param before only those that were made by then, and all that was built upon them too.
 */
export function orphansAmong({ images, clones, published, links }: PruneState, before: Date): ChainId[] {
  const chains = new RemainingChains(links)
  const needed = chains.withAllBelow([
    ...images.flatMap(({ record }) => record.layers.map(({ chainId }) => chainId)),
    ...clones.map(({ chain }) => chain),
    ...published.map(({ chain }) => chain),
  ])
  const candidates = new Set(
    links
      .filter(({ chain, createdAt }) => !needed.has(chain) && createdAt <= before)
      .map(({ chain }) => chain),
  )
  const orphans: ChainId[] = []
  for (const { chain } of oldestFirst(links))
    for (
      let next: ChainId | null = chain;
      next !== null && candidates.has(next) && !chains.isBuiltUpon(next);
    ) {
      candidates.delete(next)
      orphans.push(next)
      next = chains.remove(next)
    }
  return orphans
}

/** So that the order does not depend on that of a listing. */
function oldestFirst(links: readonly ChainLink[]): ChainLink[] {
  return links.toSorted(
    (left, right) =>
      left.createdAt.getTime() - right.createdAt.getTime() || (left.chain < right.chain ? -1 : 1),
  )
}

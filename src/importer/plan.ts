import type { ChainId } from '../storage/chain-id.ts'
import type { ResolvedLayer } from '../storage/remote/image-source.ts'

export interface ImportPlan {
  /** The longest chain that is there already; null when none is. */
  readonly base: ChainId | null
  /** Layers to apply on top of it, in order. */
  readonly missing: readonly ResolvedLayer[]
}

/** A chain ID names everything below it as well, so the topmost one that is there decides. */
export function planImport(
  layers: readonly ResolvedLayer[],
  isPresent: (chain: ChainId) => boolean,
): ImportPlan {
  const top = layers.findLastIndex(({ chainId }) => isPresent(chainId))
  return { base: layers[top]?.chainId ?? null, missing: layers.slice(top + 1) }
}

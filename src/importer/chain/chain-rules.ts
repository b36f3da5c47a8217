import { DomainError } from '../../errors.ts'
import type { ChainId } from '../../storage/chain-id.ts'
import type { LayerFacts } from './chain-store.ts'

/**
 * A layer's facts must name as parent what its tree was made from, or {@link ChainStore.remove} would let go
 * of a chain that is still needed. @throws DomainError `invalid`.
 */
export function checkParent(below: ChainId | null, chain: ChainId, facts: LayerFacts): void {
  if (facts.parent === below) return
  throw new DomainError(
    'invalid',
    `The chain ${chain} was built on ${below ?? 'an empty tree'}, but its facts name ${facts.parent ?? 'no parent'}; commit layers in order.`,
    { resource: 'chain', name: chain },
  )
}

/** The one sentence for a chain that a store does not hold. */
export function unknownChain(chain: ChainId, cause?: unknown): DomainError {
  return new DomainError(
    'not_found',
    `There is no chain ${chain}; import an image that has it first.`,
    { resource: 'chain', name: chain },
    { cause },
  )
}

/** @param why what needs the chain, as the end of a sentence. */
export function chainInUse(chain: ChainId, why: string, cause?: unknown): DomainError {
  return new DomainError(
    'conflict',
    `The chain ${chain} cannot be removed: ${why}.`,
    { resource: 'chain', name: chain },
    { cause },
  )
}

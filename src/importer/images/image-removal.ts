import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { ChainId } from '../../storage/chain-id.ts'
import type { ChainStore } from '../chain/chain-store.ts'
import type { ImageRecord } from './image-catalog.ts'
import { topChainOf } from './image-record.ts'

/** Clones may as well be another image's that has the same layers. @throws DomainError `conflict` that names clones. */
export async function refuseWhileCloned(
  chains: ChainStore,
  record: ImageRecord,
  others: readonly ImageRecord[],
  options: Abortable | undefined,
): Promise<void> {
  const chain = topChainOf(record)
  if (chainsOf(others).has(chain)) return
  const users = (await chains.clones(options)).filter(clone => clone.chain === chain)
  if (users.length === 0) return
  throw new DomainError(
    'conflict',
    `The image ${record.names[0] ?? record.manifestDigest} is in use by ${users.length} clones (${users
      .slice(0, 3)
      .map(({ name }) => name)
      .join(', ')}${users.length > 3 ? ' …' : ''}); \`varve rm\` removes clones.`,
    { resource: 'image', name: record.manifestDigest },
  )
}

/**
 * From the top down, until something else needs what is left. Answers how many it removed.
 * @throws DomainError `conflict` when the image has been cloned meanwhile.
 */
export async function removeChains(
  chains: ChainStore,
  record: ImageRecord,
  others: readonly ImageRecord[],
  options: Abortable | undefined,
): Promise<number> {
  const needed = chainsOf(others)
  let removed = 0
  for (const { chainId } of record.layers.toReversed()) {
    if (needed.has(chainId)) break
    try {
      await chains.remove(chainId, options)
    } catch (error) {
      if (isDomainError(error, 'not_found')) continue
      if (!isDomainError(error, 'conflict')) throw error
      // A longer chain of an import that is running, or a clone that was made just now.
      await refuseWhileCloned(chains, record, others, options)
      break
    }
    removed += 1
  }
  return removed
}

function chainsOf(records: readonly ImageRecord[]): Set<ChainId> {
  return new Set(records.flatMap(({ layers }) => layers.map(({ chainId }) => chainId)))
}

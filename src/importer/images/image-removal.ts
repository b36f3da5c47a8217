import { counted } from '../../counted.ts'
import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { ChainId } from '../../storage/chain-id.ts'
import type { ChainStore } from '../chain/chain-store.ts'
import type { ImageRecord } from './image-catalog.ts'
import { topChainOf } from './image-record.ts'

/** Users that are named. */
const maxNamed = 3

/**
 * A clone that does not say which image it was made of, and a publication, may as well be of another image that has the
 * same layers; then it is free to go.
 * @throws DomainError `conflict` that names clones or publications.
 */
export async function refuseWhileUsed(
  chains: ChainStore,
  record: ImageRecord,
  others: readonly ImageRecord[],
  options: Abortable | undefined,
): Promise<void> {
  const chain = topChainOf(record)
  const isShared = chainsOf(others).has(chain)
  const clones = (await chains.clones(options)).filter(
    clone => clone.chain === chain && (!isShared || clone.manifestDigest === record.manifestDigest),
  )
  if (clones.length > 0) {
    const names = named(clones.map(({ name }) => name))
    throw inUse(
      record,
      `in use by ${counted(clones.length, 'clone')} (${names}); \`varve rm\` removes clones`,
    )
  }
  if (isShared) return
  const published = (await chains.publisher?.list(options))?.filter(one => one.chain === chain) ?? []
  if (published.length > 0) {
    const names = named(published.map(({ dataset }) => dataset))
    throw inUse(record, `published as ${names}; \`varve unpublish\` takes that back`)
  }
}

function named(names: readonly string[]): string {
  return `${names.slice(0, maxNamed).join(', ')}${names.length > maxNamed ? ' …' : ''}`
}

function inUse(record: ImageRecord, how: string): DomainError {
  return new DomainError('conflict', `The image ${record.names[0] ?? record.manifestDigest} is ${how}.`, {
    resource: 'image',
    name: record.manifestDigest,
  })
}

/**
 * From the top down, until something else needs what is left. Answers how many it removed.
 * @throws DomainError `conflict` when the image has been cloned or published meanwhile.
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
      await refuseWhileUsed(chains, record, others, options)
      break
    }
    removed += 1
  }
  return removed
}

function chainsOf(records: readonly ImageRecord[]): Set<ChainId> {
  return new Set(records.flatMap(({ layers }) => layers.map(({ chainId }) => chainId)))
}

import type { ImageRecord } from '../images/image-catalog.ts'
import { topChainOf } from '../images/image-record.ts'
import type { PruneState } from './plan-prune.ts'

/** Names that a reason gives, of many. */
const examples = 3

/**
 * Of each image: why it must stay, if it must. A clone that does not say which image it was made of (or names one that is gone) may
 * have been made of any that ends in its chain.
 */
export function needsOf({
  images,
  clones,
  published,
}: PruneState): (record: ImageRecord) => string | undefined {
  const known = new Set(images.map(image => image.record.manifestDigest))
  const users = Map.groupBy(clones, ({ chain, manifestDigest }) =>
    manifestDigest !== undefined && known.has(manifestDigest) ? manifestDigest : chain,
  )
  const publications = Map.groupBy(published, ({ chain }) => chain)
  return record => {
    const chain = topChainOf(record)
    const its = [...(users.get(record.manifestDigest) ?? []), ...(users.get(chain) ?? [])]
    if (its.length > 0) return `${counted(its.length)} made from it (${listed(its.map(({ name }) => name))})`
    const datasets = publications.get(chain) ?? []
    return datasets.length > 0
      ? `it is published as ${listed(datasets.map(({ dataset }) => dataset))}`
      : undefined
  }
}

function counted(clones: number): string {
  return clones === 1 ? 'a clone was' : `${clones} clones were`
}

function listed(names: readonly string[]): string {
  return names.length > examples ? `${names.slice(0, examples).join(', ')} …` : names.join(', ')
}

import type { ChainId } from '../../storage/chain-id.ts'
import type { ChainLineage } from '../chain/chain-store.ts'

/** One chain of a store, with all copies that there are of its last layer. */
export interface ChainLink {
  readonly chain: ChainId
  readonly parent: ChainId | null
  /** Of the youngest copy. */
  readonly createdAt: Date
  /** Of all copies. */
  readonly usedBytes: number
}

export function linksOf(lineages: readonly ChainLineage[]): ChainLink[] {
  const links = new Map<ChainId, ChainLink>()
  for (const { chain, facts, createdAt, usedBytes } of lineages.flatMap(({ snapshots }) => snapshots)) {
    const known = links.get(chain)
    links.set(chain, {
      chain,
      parent: facts.parent,
      createdAt: known !== undefined && known.createdAt > createdAt ? known.createdAt : createdAt,
      usedBytes: (known?.usedBytes ?? 0) + usedBytes,
    })
  }
  return [...links.values()]
}

export function usedBytesOf(links: readonly ChainLink[]): number {
  return links.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
}

/** The chains of a store while some of them are removed in thought. */
export class RemainingChains {
  readonly #links: Map<ChainId, ChainLink>
  /** Of each chain, how many have one layer more. */
  readonly #longer = new Map<ChainId, number>()
  #usedBytes: number

  constructor(links: readonly ChainLink[]) {
    this.#links = new Map(links.map(link => [link.chain, link]))
    this.#usedBytes = usedBytesOf(links)
    for (const { parent } of links) this.#count(parent, 1)
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  has(chain: ChainId): boolean {
    return this.#links.has(chain)
  }

  isBuiltUpon(chain: ChainId): boolean {
    return (this.#longer.get(chain) ?? 0) > 0
  }

  /** Answers the chain below. */
  remove(chain: ChainId): ChainId | null {
    const link = this.#links.get(chain)
    if (link === undefined) return null
    this.#links.delete(chain)
    this.#usedBytes -= link.usedBytes
    this.#count(link.parent, -1)
    return link.parent
  }

  /** `chains`, with all that they are built upon. */
  withAllBelow(chains: Iterable<ChainId>): Set<ChainId> {
    const found = new Set<ChainId>()
    for (const chain of chains)
      for (let next: ChainId | null = chain; next !== null && !found.has(next); ) {
        found.add(next)
        next = this.#links.get(next)?.parent ?? null
      }
    return found
  }

  #count(parent: ChainId | null, by: number): void {
    if (parent !== null) this.#longer.set(parent, (this.#longer.get(parent) ?? 0) + by)
  }
}

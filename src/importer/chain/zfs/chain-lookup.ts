import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainId } from '../../../storage/chain-id.ts'
import { unknownChain } from '../chain-rules.ts'
import type { ChainSnapshot } from '../chain-store.ts'
import type { ChainIndex } from './chain-index.ts'
import type { LineageDatasets } from './lineage-datasets.ts'

/** Looks for chains in the index and, since other processes change the pool as well, in the pool. */
export class ChainLookup {
  readonly #datasets: LineageDatasets
  readonly #index: ChainIndex

  constructor(datasets: LineageDatasets, index: ChainIndex) {
    this.#datasets = datasets
    this.#index = index
  }

  /**
   * What the index says is asked of the pool again, with one small command when the last chain is there and with a
   * listing when it is not: after that comes an import, which costs far more.
   */
  async last(chains: readonly ChainId[], options: Abortable = {}): Promise<ChainSnapshot | undefined> {
    options.signal?.throwIfAborted()
    const known = this.lastKnown(chains)
    if (known !== undefined && known.chain === chains.at(-1) && (await this.#datasets.has(known, options)))
      return known
    await this.refresh(options)
    return this.lastKnown(chains)
  }

  /** The same from the index alone. */
  lastKnown(chains: readonly ChainId[]): ChainSnapshot | undefined {
    for (const chain of chains.toReversed()) {
      const snapshot = this.#index.find(chain)
      if (snapshot !== undefined) return snapshot
    }
    return undefined
  }

  /**
   * What the index knows of them is asked of the pool by their names. Only when one of them is not there is there a listing, in
   * which it may have another name.
   */
  async all(
    chains: readonly ChainId[],
    options: Abortable = {},
  ): Promise<ReadonlyMap<ChainId, ChainSnapshot>> {
    options.signal?.throwIfAborted()
    const known = this.#allKnown(chains)
    const there = known.length < chains.length ? [] : await this.#datasets.whichOf(known, options)
    if (there.length === chains.length) return byChain(there)
    await this.refresh(options)
    return byChain(this.#allKnown(chains))
  }

  /**
   * The index may be behind another process, so what it does not know, and what turns out to be gone, is looked
   * for in the pool.
   */
  async startingAt<Result>(
    chain: ChainId,
    work: (snapshot: ChainSnapshot) => Promise<Result>,
    options: Abortable,
  ): Promise<Result> {
    const snapshot = this.#index.find(chain) ?? (await this.last([chain], options))
    if (snapshot === undefined) throw unknownChain(chain)
    try {
      return await work(snapshot)
    } catch (error) {
      if (!isDomainError(error, 'not_found')) throw error
      await this.refresh(options)
      const again = this.#index.find(chain)
      if (again === undefined) throw unknownChain(chain, error)
      if (again.location === snapshot.location) throw error
      return work(again)
    }
  }

  /** Reads the whole pool anew. */
  async refresh(options: Abortable): Promise<void> {
    await this.#index.refresh(() => this.#datasets.list(options))
  }

  #allKnown(chains: readonly ChainId[]): ChainSnapshot[] {
    return chains.flatMap(chain => this.#index.find(chain) ?? [])
  }
}

function byChain(snapshots: readonly ChainSnapshot[]): ReadonlyMap<ChainId, ChainSnapshot> {
  return new Map(snapshots.map(snapshot => [snapshot.chain, snapshot]))
}

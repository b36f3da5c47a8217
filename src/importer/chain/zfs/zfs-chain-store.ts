import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainId } from '../../../storage/chain-id.ts'
import type { DiffId, Digest } from '../../../storage/digest.ts'
import { unknownChain } from '../chain-rules.ts'
import type {
  ChainBuilder,
  ChainSnapshot,
  ChainStore,
  Clone,
  CloneName,
  CloneOptions,
  Unfinished,
} from '../chain-store.ts'
import { KeyedQueue } from '../keyed-queue.ts'
import { Builds } from './builds.ts'
import { ChainIndex } from './chain-index.ts'
import { removeChain } from './chain-removal.ts'
import { type DatasetTree, datasetTreeAt } from './dataset-names.ts'
import { ensureTree, type PrivateDirectories } from './dataset-tree.ts'
import { LineageDatasets } from './lineage-datasets.ts'
import { ZfsChainBuilder } from './zfs-chain-builder.ts'
import { ZfsClones } from './zfs-clones.ts'
import { ZfsCommand, type ZfsOptions } from './zfs-command.ts'

export interface ZfsChainStoreOptions extends Abortable, ZfsOptions {
  /** A pool (`tank`, whose store is `tank/varve`), or the dataset of the store (`tank/varve-test`). */
  readonly dataset: string
}

/** Chains as snapshots of ZFS datasets, one dataset per lineage; {@link datasetTreeAt} draws them. */
export class ZfsChainStore implements ChainStore {
  readonly description: string
  readonly recordsDirectory: string
  readonly spoolDirectory: string
  readonly #datasets: LineageDatasets
  readonly #clones: ZfsClones
  readonly #builds: Builds
  readonly #index = new ChainIndex()
  readonly #committing = new KeyedQueue<ChainId>()

  private constructor(zfs: ZfsCommand, tree: DatasetTree, directories: PrivateDirectories) {
    this.description = `ZFS datasets below ${tree.root}`
    this.recordsDirectory = directories.records
    this.spoolDirectory = directories.spool
    this.#datasets = new LineageDatasets(zfs, tree)
    this.#clones = new ZfsClones(zfs, tree)
    this.#builds = new Builds(this.#datasets, tree, this.#index, directories.locks)
  }

  /**
   * Makes the datasets that are missing and reads what is there, with one listing.
   * @throws DomainError `invalid` for a bad name, `not_found` when there is no such pool, `conflict` for a
   * dataset that is not ours, `denied` without root's rights, `unavailable` when ZFS does not run here.
   */
  static async open(options: ZfsChainStoreOptions): Promise<ZfsChainStore> {
    const tree = datasetTreeAt(options.dataset)
    const zfs = new ZfsCommand(options)
    const directories = await ensureTree(zfs, tree, options)
    const store = new ZfsChainStore(zfs, tree, directories)
    await store.#refresh(options)
    return store
  }

  async find(chain: ChainId, options: Abortable = {}): Promise<ChainSnapshot | undefined> {
    return this.findLast([chain], options)
  }

  /**
   * What the index says is asked of the pool again, with one small command when the last chain is there and with a
   * listing when it is not: after that comes an import, which costs far more.
   */
  async findLast(chains: readonly ChainId[], options: Abortable = {}): Promise<ChainSnapshot | undefined> {
    options.signal?.throwIfAborted()
    const known = this.#lastKnown(chains)
    if (known !== undefined && known.chain === chains.at(-1) && (await this.#datasets.has(known, options)))
      return known
    await this.#refresh(options)
    return this.#lastKnown(chains)
  }

  async diffIdsOf(blobs: readonly Digest[], options: Abortable = {}): Promise<ReadonlyMap<Digest, DiffId>> {
    options.signal?.throwIfAborted()
    return new Map(
      blobs.flatMap(blob => {
        const diffId = this.#index.diffIdOf(blob)
        return diffId === undefined ? [] : [[blob, diffId] as const]
      }),
    )
  }

  async extend(base: ChainId | null, options: Abortable = {}): Promise<ChainBuilder> {
    options.signal?.throwIfAborted()
    const begin = (from: ChainSnapshot | undefined) => this.#builds.begin(from, options)
    const build = await (base === null ? begin(undefined) : this.#startingAt(base, begin, options))
    const context = {
      datasets: this.#datasets,
      builds: this.#builds,
      index: this.#index,
      committing: this.#committing,
    }
    return new ZfsChainBuilder(context, build, base)
  }

  /** Reads the pool anew, for whoever sweeps must also see what other processes did. */
  async *walk(options: Abortable = {}): AsyncGenerator<ChainSnapshot | Unfinished> {
    await this.#refresh(options)
    for (const snapshot of this.#index.snapshots()) {
      options.signal?.throwIfAborted()
      yield snapshot
    }
    for (const lineage of this.#index.lineages()) {
      options.signal?.throwIfAborted()
      if (this.#builds.isLeftBehind(lineage)) yield { kind: 'unfinished', location: lineage.dataset }
    }
  }

  /**
   * One lineage that cannot be reclaimed keeps none of the others from it; the first failure is thrown at the
   * end.
   */
  async reclaim(options: Abortable = {}): Promise<number> {
    await this.#refresh(options)
    const failures: unknown[] = []
    let count = 0
    for (const lineage of this.#index.lineages()) {
      options.signal?.throwIfAborted()
      if (!this.#builds.isLeftBehind(lineage)) continue
      try {
        if (await this.#builds.reclaim(lineage.dataset, options)) count++
      } catch (error) {
        failures.push(error)
      }
    }
    await this.#builds.dropStrayLocks(options)
    if (failures.length > 0) throw failures[0]
    return count
  }

  async remove(chain: ChainId, options: Abortable = {}): Promise<void> {
    await this.#refresh(options)
    await removeChain({ datasets: this.#datasets, builds: this.#builds, index: this.#index }, chain, options)
  }

  async clone(chain: ChainId, name: CloneName, options: CloneOptions = {}): Promise<Clone> {
    options.signal?.throwIfAborted()
    return this.#startingAt(chain, snapshot => this.#clones.clone(snapshot, name, options), options)
  }

  clones(options: Abortable = {}): Promise<Clone[]> {
    return this.#clones.list(options)
  }

  destroyClone(name: CloneName, options: Abortable = {}): Promise<void> {
    return this.#clones.destroy(name, options)
  }

  /** Nothing is held open but by builders, which their owners dispose. */
  async [Symbol.asyncDispose](): Promise<void> {}

  /**
   * The index may be behind another process, so what it does not know, and what turns out to be gone, is looked
   * for in the pool.
   */
  async #startingAt<Result>(
    chain: ChainId,
    work: (snapshot: ChainSnapshot) => Promise<Result>,
    options: Abortable,
  ): Promise<Result> {
    const snapshot = this.#index.find(chain) ?? (await this.find(chain, options))
    if (snapshot === undefined) throw unknownChain(chain)
    try {
      return await work(snapshot)
    } catch (error) {
      if (!isDomainError(error, 'not_found')) throw error
      await this.#refresh(options)
      const again = this.#index.find(chain)
      if (again === undefined) throw unknownChain(chain, error)
      if (again.location === snapshot.location) throw error
      return work(again)
    }
  }

  #lastKnown(chains: readonly ChainId[]): ChainSnapshot | undefined {
    for (const chain of chains.toReversed()) {
      const snapshot = this.#index.find(chain)
      if (snapshot !== undefined) return snapshot
    }
    return undefined
  }

  async #refresh(options: Abortable): Promise<void> {
    await this.#index.refresh(() => this.#datasets.list(options))
  }
}

import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainId } from '../../../storage/chain-id.ts'
import type { DiffId, Digest } from '../../../storage/digest.ts'
import { ImgadmDatabase } from '../../smartos/imgadm-database.ts'
import { ChainClaims } from '../chain-claims.ts'
import { chainInUse } from '../chain-rules.ts'
import type {
  ChainBuilder,
  ChainClaim,
  ChainLineage,
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
import { ChainLineages } from './chain-lineages.ts'
import { ChainLookup } from './chain-lookup.ts'
import { removeChain } from './chain-removal.ts'
import { type DatasetTree, datasetTreeAt } from './dataset-names.ts'
import { ensureTree, type OpenedTree } from './dataset-tree.ts'
import { LineageDatasets } from './lineage-datasets.ts'
import { ZfsChainBuilder } from './zfs-chain-builder.ts'
import { ZfsClones } from './zfs-clones.ts'
import { ZfsCommand, type ZfsOptions } from './zfs-command.ts'
import { ZfsPublications } from './zfs-publications.ts'

export interface ZfsChainStoreOptions extends Abortable, ZfsOptions {
  /** A pool (`tank`, whose store is `tank/varve`), or the dataset of the store (`tank/varve-test`). */
  readonly dataset: string
  /** Where imgadm has its database; publications are recorded there. */
  readonly imgadmDirectory?: string | undefined
}

/** Chains as snapshots of ZFS datasets, one dataset per lineage; {@link datasetTreeAt} draws them. */
export class ZfsChainStore implements ChainStore {
  readonly description: string
  readonly recordsDirectory: string
  readonly spoolDirectory: string
  readonly publisher: ZfsPublications
  readonly #datasets: LineageDatasets
  readonly #clones: ZfsClones
  readonly #builds: Builds
  readonly #lookup: ChainLookup
  readonly #claims: ChainClaims
  readonly #lineages: ChainLineages
  readonly #index = new ChainIndex()
  readonly #committing = new KeyedQueue<ChainId>()

  private constructor(
    zfs: ZfsCommand,
    tree: DatasetTree,
    { directories, places }: OpenedTree,
    imgadmDirectory: string | undefined,
  ) {
    this.description = `ZFS datasets below ${tree.root}`
    this.recordsDirectory = directories.records
    this.spoolDirectory = directories.spool
    this.#datasets = new LineageDatasets(zfs, tree)
    this.#clones = new ZfsClones(zfs, tree, places)
    this.#lookup = new ChainLookup(this.#datasets, this.#index)
    this.#builds = new Builds(this.#datasets, tree, this.#index, directories.locks)
    this.#claims = new ChainClaims(directories.claims)
    this.publisher = new ZfsPublications({
      zfs,
      tree,
      locks: directories.publications,
      database: imgadmDirectory === undefined ? undefined : new ImgadmDatabase(imgadmDirectory),
    })
    this.#lineages = new ChainLineages(zfs, tree)
  }

  /**
   * Makes the datasets that are missing and reads what is there, with one listing.
   * @throws DomainError `invalid` for a bad name, `not_found` when there is no such pool, `conflict` for a
   * dataset that is not ours, `denied` without root's rights, `unavailable` when ZFS does not run here.
   */
  static async open(options: ZfsChainStoreOptions): Promise<ZfsChainStore> {
    const tree = datasetTreeAt(options.dataset)
    const zfs = new ZfsCommand(options)
    const opened = await ensureTree(zfs, tree, options)
    const store = new ZfsChainStore(zfs, tree, opened, options.imgadmDirectory)
    await store.#lookup.refresh(options)
    return store
  }

  async find(chain: ChainId, options: Abortable = {}): Promise<ChainSnapshot | undefined> {
    return this.findLast([chain], options)
  }

  findLast(chains: readonly ChainId[], options: Abortable = {}): Promise<ChainSnapshot | undefined> {
    return this.#lookup.last(chains, options)
  }

  async lastKnown(chains: readonly ChainId[], options: Abortable = {}): Promise<ChainSnapshot | undefined> {
    options.signal?.throwIfAborted()
    return this.#lookup.lastKnown(chains)
  }

  findAll(chains: readonly ChainId[], options: Abortable = {}): Promise<ReadonlyMap<ChainId, ChainSnapshot>> {
    return this.#lookup.all(chains, options)
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
    const build = await (base === null ? begin(undefined) : this.#lookup.startingAt(base, begin, options))
    const context = {
      datasets: this.#datasets,
      builds: this.#builds,
      index: this.#index,
      committing: this.#committing,
    }
    return new ZfsChainBuilder(context, build)
  }

  claim(chain: ChainId): ChainClaim | undefined {
    return this.#claims.claim(chain)
  }

  claimRecords(): Disposable | undefined {
    return this.#claims.claimRecords()
  }

  /** Reads the pool anew, for whoever sweeps must also see what other processes did. */
  async *walk(options: Abortable = {}): AsyncGenerator<ChainSnapshot | Unfinished> {
    await this.#lookup.refresh(options)
    for (const snapshot of this.#index.snapshots()) {
      options.signal?.throwIfAborted()
      yield snapshot
    }
    for (const lineage of this.#index.lineages()) {
      options.signal?.throwIfAborted()
      if (this.#builds.isLeftBehind(lineage)) yield { kind: 'unfinished', location: lineage.dataset }
    }
  }

  lineages(options: Abortable = {}): Promise<ChainLineage[]> {
    return this.#lineages.list(options)
  }

  /**
   * One lineage, or publication, that cannot be reclaimed keeps none of the others from it; the first failure is thrown at
   * the end.
   */
  async reclaim(options: Abortable = {}): Promise<number> {
    await this.#lookup.refresh(options)
    const failures: unknown[] = []
    let count = await this.#reclaimLineages(failures, options)
    await this.#builds.dropStrayLocks(options)
    try {
      count += await this.publisher.reclaim(options)
    } catch (error) {
      failures.push(error)
    }
    if (failures.length > 0) throw failures[0]
    return count
  }

  /** Answers how many; what kept it from others is added to `failures`. */
  async #reclaimLineages(failures: unknown[], options: Abortable): Promise<number> {
    let count = 0
    for (const lineage of this.#index.lineages()) {
      options.signal?.throwIfAborted()
      try {
        if (this.#builds.isLeftBehind(lineage)) {
          if (await this.#builds.reclaim(lineage.dataset, options)) count++
        } else if (this.#builds.lacksHolds(lineage)) await this.#builds.protect(lineage.dataset, options)
      } catch (error) {
        failures.push(error)
      }
    }
    return count
  }

  async remove(chain: ChainId, options: Abortable = {}): Promise<void> {
    options.signal?.throwIfAborted()
    try {
      await this.#removeKnown(chain, options)
    } catch (error) {
      if (!isDomainError(error, 'conflict')) throw error
      // What a build has left behind, of this process or another, pins what it was built upon.
      await this.#lookup.refresh(options)
      if ((await this.#reclaimLineages([], options)) > 0) return await this.remove(chain, options)
      const published = (await this.publisher.list(options)).find(one => one.chain === chain)
      if (published === undefined) throw error
      throw chainInUse(chain, `it is published as ${published.dataset}; unpublish that first`, error)
    }
  }

  /** With a listing only when the index says that it cannot be done, or has another place: it may be behind. */
  async #removeKnown(chain: ChainId, options: Abortable): Promise<void> {
    const context = { datasets: this.#datasets, builds: this.#builds, index: this.#index }
    if (this.#index.find(chain) === undefined || this.#index.longerThan(chain) !== undefined)
      await this.#lookup.refresh(options)
    if (await removeChain(context, chain, options)) return
    await this.#lookup.refresh(options)
    await removeChain(context, chain, options)
  }

  async clone(chain: ChainId, name: CloneName, options: CloneOptions = {}): Promise<Clone> {
    options.signal?.throwIfAborted()
    return this.#lookup.startingAt(chain, snapshot => this.#clones.clone(snapshot, name, options), options)
  }

  findClone(name: CloneName, options: Abortable = {}): Promise<Clone | undefined> {
    return this.#clones.find(name, options)
  }

  clones(options: Abortable = {}): Promise<Clone[]> {
    return this.#clones.list(options)
  }

  destroyClone(name: CloneName, options: Abortable = {}): Promise<void> {
    return this.#clones.destroy(name, options)
  }

  /** Nothing is held open but by builders, which their owners dispose. */
  async [Symbol.asyncDispose](): Promise<void> {}
}

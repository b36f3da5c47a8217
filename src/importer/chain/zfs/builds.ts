import { join } from 'node:path'
import { DomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainSnapshot } from '../chain-store.ts'
import { ProcessLock } from '../process-lock.ts'
import { type ChainIndex, isUnfinished, type Lineage, newestOf } from './chain-index.ts'
import { type DatasetName, type DatasetTree, lastComponent, newLineage } from './dataset-names.ts'
import type { LineageDatasets } from './lineage-datasets.ts'

/** A lineage that this process alone may change until {@link Builds.end}. */
export interface Build {
  readonly lock: ProcessLock
  /** The directory that becomes the image's `/`. */
  readonly rootfs: string
  lineage: Lineage
}

/**
 * Who may build where. A lineage has one builder at a time on the whole host: whoever holds its lock file,
 * which the kernel releases when the process dies. The mark on the dataset only says that there is something
 * to clean up.
 */
export class Builds {
  readonly #datasets: LineageDatasets
  readonly #tree: DatasetTree
  readonly #index: ChainIndex
  readonly #locks: string

  /** @param locks the directory of the lock files. */
  constructor(datasets: LineageDatasets, tree: DatasetTree, index: ChainIndex, locks: string) {
    this.#datasets = datasets
    this.#tree = tree
    this.#index = index
    this.#locks = locks
  }

  /** In the lineage of `base` when that ends there and nobody is in it; otherwise in a new one. */
  async begin(base: ChainSnapshot | undefined, options: Abortable = {}): Promise<Build> {
    const continued = base === undefined ? undefined : await this.#continue(base, options)
    return continued ?? this.#branch(base, options)
  }

  /** Discards what was not committed, and lets others in. */
  async end(build: Build): Promise<void> {
    try {
      if ((await this.#settle(build.lineage)) === undefined) build.lock.retire()
    } finally {
      build.lock.release()
    }
  }

  /** Whether the lineage is what a dead builder has left behind. */
  isLeftBehind(lineage: Lineage): boolean {
    return isUnfinished(lineage) && !ProcessLock.isHeld(this.#lockFile(lineage.dataset))
  }

  /**
   * Runs `work` when nobody builds in the lineage, with the lineage as it is then; answers whether it ran.
   */
  async exclusively(
    dataset: DatasetName,
    work: (lineage: Lineage) => Promise<void>,
    options: Abortable = {},
  ): Promise<boolean> {
    using lock = ProcessLock.tryAcquire(this.#lockFile(dataset))
    if (lock === undefined) return false
    const lineage = await this.#reread(dataset, options)
    if (lineage !== undefined) await work(lineage)
    if (!this.#index.has(dataset)) lock.retire()
    return lineage !== undefined
  }

  /** Discards what a dead builder has left. Answers whether there was something that could be discarded. */
  async reclaim(dataset: DatasetName, options: Abortable = {}): Promise<boolean> {
    let done = false
    await this.exclusively(
      dataset,
      async lineage => {
        if (!isUnfinished(lineage)) return
        const settled = await this.#settle(lineage)
        done = settled === undefined || !isUnfinished(settled)
      },
      options,
    )
    return done
  }

  async #continue(base: ChainSnapshot, options: Abortable): Promise<Build | undefined> {
    const known = this.#index.lineageOf(base)
    if (known === undefined || !endsAt(known, base)) return undefined
    await using undo = new AsyncDisposableStack()
    const lock = ProcessLock.tryAcquire(this.#lockFile(known.dataset))
    if (lock === undefined) return undefined
    undo.use(lock)
    // Another process may have built here since our listing.
    const lineage = await this.#reread(known.dataset, options)
    if (lineage === undefined || !endsAt(lineage, base)) return undefined
    undo.defer(async () => {
      await this.#settle(lineage)
    })
    if (lineage.unfinished) await this.#datasets.rollBack(lineage)
    else await this.#datasets.mark(lineage.dataset, options)
    const rootfs = await this.#datasets.mount(lineage.dataset, options)
    undo.move()
    return this.#opened({ lock, rootfs, lineage: { ...lineage, unfinished: true } })
  }

  async #branch(base: ChainSnapshot | undefined, options: Abortable): Promise<Build> {
    const dataset = newLineage(this.#tree)
    await using undo = new AsyncDisposableStack()
    const lock = ProcessLock.tryAcquire(this.#lockFile(dataset))
    if (lock === undefined)
      throw new DomainError('busy', `${dataset} is locked by another process; try again.`, {
        resource: 'chain',
        name: dataset,
      })
    undo.defer(() => lock.retire())
    const lineage = await this.#datasets.create(dataset, base, options)
    undo.defer(async () => {
      await this.#settle(lineage)
    })
    const rootfs = await this.#datasets.mount(dataset, options)
    if (base === undefined) await this.#datasets.prepare(rootfs)
    undo.move()
    return this.#opened({ lock, rootfs, lineage })
  }

  #opened(build: Build): Build {
    this.#index.put(build.lineage)
    return build
  }

  async #settle(lineage: Lineage): Promise<Lineage | undefined> {
    const settled = await this.#datasets.settle(lineage)
    if (settled === undefined) this.#index.delete(lineage.dataset)
    else this.#index.put(settled)
    return settled
  }

  async #reread(dataset: DatasetName, options: Abortable): Promise<Lineage | undefined> {
    const lineage = await this.#datasets.reread(dataset, options)
    if (lineage === undefined) this.#index.delete(dataset)
    else this.#index.put(lineage)
    return lineage
  }

  #lockFile(dataset: DatasetName): string {
    return join(this.#locks, lastComponent(dataset))
  }
}

function endsAt(lineage: Lineage, base: ChainSnapshot): boolean {
  return !lineage.covered && newestOf(lineage)?.location === base.location
}

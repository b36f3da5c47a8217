import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { ProcessLock } from '../../../storage/process-lock.ts'
import type { ChainSnapshot } from '../chain-store.ts'
import { onDisk } from '../fs-errors.ts'
import { type ChainIndex, isUnfinished, type Lineage, newestOf, unheldOf } from './chain-index.ts'
import { asLineage, type DatasetName, type DatasetTree, lastComponent, newLineage } from './dataset-names.ts'
import type { LineageDatasets } from './lineage-datasets.ts'
import { relieve } from './relief.ts'

/** A lineage that this process alone may change until {@link Builds.end}. */
export interface Build {
  readonly lock: ProcessLock
  /** The directory that becomes the image's `/`. */
  readonly rootfs: string
  /** What the tree began with. */
  readonly base: ChainSnapshot | undefined
  /** When the present layer was begun, in milliseconds since 1970. */
  since: number
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
      await relieve(build.rootfs, build.since)
      const settled = await this.#discard(build.lineage)
      if (settled === undefined) build.lock.retire()
      else await this.#hold(settled)
    } finally {
      build.lock.release()
    }
  }

  /** Whether the lineage is what a dead builder has left behind. */
  isLeftBehind(lineage: Lineage): boolean {
    return isUnfinished(lineage) && !ProcessLock.isHeld(this.#lockFile(lineage.dataset))
  }

  /**
   * Runs `work` when nobody builds in the lineage, with the lineage as it is then (a dead builder's has a new name);
   * answers whether it ran.
   */
  async exclusively(
    dataset: DatasetName,
    work: (lineage: Lineage) => Promise<void>,
    options: Abortable = {},
  ): Promise<boolean> {
    using lock = ProcessLock.tryAcquire(this.#lockFile(dataset))
    if (lock === undefined) return false
    const lineage = await this.#reread(dataset, options)
    if (lineage !== undefined)
      if (mayStillBeSnapshot(lineage)) await this.#renamed(lineage, work, options)
      else await work(lineage)
    if (!this.#index.has(dataset)) lock.retire()
    return lineage !== undefined
  }

  /**
   * A builder that was killed may have left a `zfs snapshot` that has not come to its turn yet, and to roll back under it
   * would give a verified name to something else. So the lineage is renamed first: what the dead asked for before
   * that is true, and what comes later finds no dataset.
   */
  async #renamed(
    lineage: Lineage,
    work: (lineage: Lineage) => Promise<void>,
    options: Abortable,
  ): Promise<void> {
    const name = newLineage(this.#tree)
    using lock = this.#lock(name)
    await this.#datasets.rename(lineage.dataset, name)
    this.#index.delete(lineage.dataset)
    const now = await this.#reread(name, options)
    if (now !== undefined) await work(now)
    if (!this.#index.has(name)) lock.retire()
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
        if (settled !== undefined) await this.#hold(settled)
      },
      options,
    )
    return done
  }

  /** Whether the lineage has snapshots that a builder has left without the holds that they can have. */
  lacksHolds(lineage: Lineage): boolean {
    return this.#datasets.holds.arePossible && unheldOf(lineage).length > 0
  }

  /** Holds what nobody holds of a lineage in which nobody builds. */
  async protect(dataset: DatasetName, options: Abortable = {}): Promise<void> {
    await this.exclusively(dataset, lineage => this.#hold(lineage), options)
  }

  /** Removes the locks of builders that died before their lineage was made, or after it was gone. */
  async dropStrayLocks(options: Abortable = {}): Promise<void> {
    for (const name of await onDisk(this.#locks, () => readdir(this.#locks))) {
      options.signal?.throwIfAborted()
      const dataset = asLineage(this.#tree, `${this.#tree.chains}/${name}`)
      if (dataset === undefined || this.#index.has(dataset)) continue
      const isGone = async (): Promise<boolean> => (await this.#reread(dataset, options)) === undefined
      await ProcessLock.retireStray(this.#lockFile(dataset), isGone)
    }
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
    // What a dead builder has left is not built upon before it has been reclaimed.
    if (lineage === undefined || lineage.unfinished || !endsAt(lineage, base)) return undefined
    undo.defer(async () => {
      await this.#discard(lineage)
    })
    const since = Date.now()
    await this.#datasets.mark(lineage.dataset, options)
    // What a head has beyond its newest snapshot belongs to no image, whoever put it there.
    await this.#datasets.unmount(lineage.dataset)
    await this.#datasets.rollBack(lineage)
    const rootfs = await this.#datasets.mount(lineage.dataset, options)
    undo.move()
    const now = newestOf(lineage)
    return this.#opened({ lock, rootfs, base: now, since, lineage: { ...lineage, unfinished: true } })
  }

  async #branch(base: ChainSnapshot | undefined, options: Abortable): Promise<Build> {
    const dataset = newLineage(this.#tree)
    await using undo = new AsyncDisposableStack()
    const lock = this.#lock(dataset)
    undo.defer(() => lock.retire())
    const since = Date.now()
    const lineage = await this.#datasets.create(dataset, base, options)
    undo.defer(async () => {
      await this.#settle(lineage)
    })
    const rootfs = await this.#datasets.mount(dataset, options)
    if (base === undefined) await this.#datasets.prepare(rootfs)
    undo.move()
    return this.#opened({ lock, rootfs, base, since, lineage })
  }

  #opened(build: Build): Build {
    this.#index.put(build.lineage)
    return build
  }

  /** Ends a lineage that may be mounted. */
  async #discard(lineage: Lineage): Promise<Lineage | undefined> {
    if (lineage.snapshots.length > 0) await this.#datasets.unmount(lineage.dataset)
    return await this.#settle(lineage)
  }

  /** A hold protects, and decides nothing: what has not got one now is given one by the next reclaim. */
  async #hold(lineage: Lineage): Promise<void> {
    const unheld = unheldOf(lineage)
    if (unheld.length === 0) return
    try {
      await this.#datasets.holds.hold(unheld)
    } catch (error) {
      if (!isDomainError(error)) throw error
      return
    }
    this.#index.put({
      ...lineage,
      holds: new Map([...lineage.holds, ...unheld.map(name => [name, 1] as const)]),
    })
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

  #lock(dataset: DatasetName): ProcessLock {
    const lock = ProcessLock.tryAcquire(this.#lockFile(dataset))
    if (lock !== undefined) return lock
    throw new DomainError('busy', `${dataset} is locked by another process; try again.`, {
      resource: 'chain',
      name: dataset,
    })
  }

  #lockFile(dataset: DatasetName): string {
    return join(this.#locks, lastComponent(dataset))
  }
}

/** Without a snapshot it will be destroyed, and under a stranger's it stays as it is. */
function mayStillBeSnapshot(lineage: Lineage): boolean {
  return lineage.unfinished && !lineage.covered && lineage.snapshots.length > 0
}

function endsAt(lineage: Lineage, base: ChainSnapshot): boolean {
  return !lineage.covered && newestOf(lineage)?.location === base.location
}

import { chmod } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainId } from '../../../storage/chain-id.ts'
import type { ChainSnapshot, LayerFacts } from '../chain-store.ts'
import { makeEmptyRootfs } from '../empty-rootfs.ts'
import { onDisk } from '../fs-errors.ts'
import { type Lineage, newestOf, readLineages } from './chain-index.ts'
import { chainSnapshot, type DatasetName, type DatasetTree, rootfsDirectory } from './dataset-names.ts'
import { Holds } from './holds.ts'
import { mount, unmount } from './mounts.ts'
import {
  chainProperty,
  formatFacts,
  lineageProperties,
  listingArgs,
  optionArgs,
  parseListing,
  roleProperty,
  unfinishedProperty,
} from './properties.ts'
import { namesPerCommand, type ZfsCommand } from './zfs-command.ts'
import type { Subject } from './zfs-errors.ts'

/**
 * What can be done to the datasets of lineages, one small step each. Who may do it is decided elsewhere:
 * every change needs the lineage's lock.
 */
export class LineageDatasets {
  readonly holds: Holds
  readonly #zfs: ZfsCommand
  readonly #tree: DatasetTree

  constructor(zfs: ZfsCommand, tree: DatasetTree) {
    this.holds = new Holds(zfs)
    this.#zfs = zfs
    this.#tree = tree
  }

  /** The one bulk listing: everything that a store knows after a restart. */
  async list(options: Abortable = {}): Promise<Lineage[]> {
    const args = [...listingArgs(lineageProperties, '-r'), this.#tree.chains]
    return this.#parse(await this.#zfs.read(subjectOf(this.#tree.chains), args, options))
  }

  /** Whether a snapshot is still there. */
  async has(snapshot: ChainSnapshot, options: Abortable = {}): Promise<boolean> {
    return (await this.whichOf([snapshot], options)).length > 0
  }

  /** Those that are still there: one command for some hundred. */
  async whichOf(snapshots: readonly ChainSnapshot[], options: Abortable = {}): Promise<ChainSnapshot[]> {
    const there = new Set<string>()
    for (let from = 0; from < snapshots.length; from += namesPerCommand) {
      const some = snapshots.slice(from, from + namesPerCommand)
      const args = [...listingArgs([chainProperty]), ...some.map(({ location }) => location)]
      const listing = parseListing(await this.#zfs.readExisting(subjectOf(this.#tree.chains), args, options))
      for (const listed of listing) there.add(`${listed.name} ${listed.local(chainProperty)}`)
    }
    return snapshots.filter(({ location, chain }) => there.has(`${location} ${chain}`))
  }

  /** One lineage as it is now; `undefined` when it is gone or not ours. */
  async reread(dataset: DatasetName, options: Abortable = {}): Promise<Lineage | undefined> {
    const args = [...listingArgs(lineageProperties, '-r'), dataset]
    try {
      return this.#parse(await this.#zfs.read(subjectOf(dataset), args, options))[0]
    } catch (error) {
      if (isDomainError(error, 'not_found')) return undefined
      throw error
    }
  }

  /**
   * An unfinished lineage that is empty, or a clone of `origin`. @throws DomainError `not_found` when that is
   * gone.
   */
  async create(
    dataset: DatasetName,
    origin: ChainSnapshot | undefined,
    options: Abortable = {},
  ): Promise<Lineage> {
    const properties = optionArgs({
      canmount: 'noauto',
      [roleProperty]: 'lineage',
      [unfinishedProperty]: ourName(),
    })
    const args =
      origin === undefined
        ? ['create', ...properties, dataset]
        : ['clone', ...properties, origin.location, dataset]
    await this.#zfs.change(subjectOf(dataset), args, options)
    return { dataset, unfinished: true, snapshots: [], holds: new Map(), covered: false }
  }

  /** Answers the directory that becomes the image's `/`. */
  async mount(dataset: DatasetName, options: Abortable = {}): Promise<string> {
    return join(await mount(this.#zfs, dataset, subjectOf(dataset), options), rootfsDirectory)
  }

  /**
   * The first steps inside an empty dataset: only root may look into it, for images bring setuid programs.
   */
  async prepare(rootfs: string): Promise<void> {
    await onDisk(rootfs, () => chmod(join(rootfs, '..'), 0o700))
    await makeEmptyRootfs(rootfs)
  }

  /**
   * Unmounted, so that nothing of it stays at the old name.
   * @param to a name that nobody else gives.
   */
  async rename(dataset: DatasetName, to: DatasetName): Promise<void> {
    await this.unmount(dataset)
    try {
      await this.#zfs.change(subjectOf(dataset), ['rename', dataset, to])
    } catch (error) {
      // zfs-fuse may say that a dataset is busy when it has given it its new name, and the next try finds no old one.
      if (!isDomainError(error, 'not_found') || (await this.reread(to)) === undefined) throw error
    }
  }

  async mark(dataset: DatasetName, options: Abortable = {}): Promise<void> {
    const args = ['set', `${unfinishedProperty}=${ourName()}`, dataset]
    await this.#zfs.change(subjectOf(dataset), args, options)
  }

  async unmark(dataset: DatasetName): Promise<void> {
    await this.#zfs.change(subjectOf(dataset), ['inherit', unfinishedProperty, dataset])
  }

  async snapshot(
    dataset: DatasetName,
    chain: ChainId,
    facts: LayerFacts,
    options: Abortable = {},
  ): Promise<ChainSnapshot> {
    const location = chainSnapshot(dataset, chain)
    const args = ['snapshot', ...optionArgs(formatFacts(chain, facts)), location]
    await this.#zfs.change(subjectOf(location), args, options)
    return { kind: 'snapshot', chain, location, facts }
  }

  /** Before a rollback, which would leave it mounted. */
  async unmount(dataset: DatasetName): Promise<void> {
    await unmount(this.#zfs, dataset, subjectOf(dataset))
  }

  /**
   * Makes the head what the newest snapshot is. @throws DomainError `conflict` when a stranger's snapshot is
   * newer.
   */
  async rollBack(lineage: Lineage): Promise<void> {
    const newest = newestOf(lineage)
    if (newest === undefined) return
    await this.#zfs.change(subjectOf(newest.location), ['rollback', newest.location])
  }

  /**
   * Ends the unfinished state of a lineage that is not mounted: with its head at its newest snapshot, or destroyed (answers
   * `undefined`) when it has none. A lineage that a stranger's snapshot covers stays as it is, for that
   * snapshot is not ours to destroy.
   */
  async settle(lineage: Lineage): Promise<Lineage | undefined> {
    try {
      if (newestOf(lineage) === undefined) {
        await this.destroy(lineage.dataset)
        return undefined
      }
      await this.rollBack(lineage)
    } catch (error) {
      if (!isDomainError(error, 'conflict')) throw error
      return { ...lineage, unfinished: true, covered: true }
    }
    await this.unmark(lineage.dataset)
    return { ...lineage, unfinished: false }
  }

  /** Never with `-r` or `-R`: what still has snapshots or clones stays. @throws DomainError `conflict`. */
  async destroy(name: string): Promise<void> {
    try {
      await this.#zfs.change(subjectOf(name), ['destroy', name])
    } catch (error) {
      if (!isDomainError(error, 'not_found')) throw error
    }
  }

  #parse(stdout: string): Lineage[] {
    return readLineages(this.#tree, parseListing(stdout))
  }
}

function subjectOf(name: string): Subject {
  return { resource: 'chain', name }
}

/** For people who look at the pool; whether the builder lives is told by its lock alone. */
function ourName(): string {
  return `${hostname()}:${process.pid}`
}

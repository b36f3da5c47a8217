import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainSnapshot, Clone, CloneName, CloneOptions } from '../chain-store.ts'
import { KeyedQueue } from '../keyed-queue.ts'
import { clonePropertiesOf, readClone } from './clone-properties.ts'
import { cloneDataset, type DatasetTree } from './dataset-names.ts'
import { mount } from './mounts.ts'
import { cloneProperties, type Listed, listingArgs, optionArgs, parseListing } from './properties.ts'
import type { ZfsCommand } from './zfs-command.ts'

/** Clones, which only ZFS remembers: other processes, and people, make and destroy them too. */
export class ZfsClones {
  readonly #zfs: ZfsCommand
  readonly #tree: DatasetTree
  /** A clone is there a moment before it is mounted, and two must not try to mount it. */
  readonly #changing = new KeyedQueue<CloneName>()

  constructor(zfs: ZfsCommand, tree: DatasetTree) {
    this.#zfs = zfs
    this.#tree = tree
  }

  /** @throws DomainError `not_found` when the snapshot is gone, `conflict` when the name is taken. */
  clone(snapshot: ChainSnapshot, name: CloneName, options: CloneOptions = {}): Promise<Clone> {
    return this.#changing.run(name, () => this.#clone(snapshot, name, options))
  }

  async #clone(snapshot: ChainSnapshot, name: CloneName, options: CloneOptions): Promise<Clone> {
    const dataset = cloneDataset(this.#tree, name)
    const properties = optionArgs(clonePropertiesOf(snapshot.chain, options.quota))
    const subject = { resource: 'clone', name } as const
    try {
      await this.#zfs.change(subject, ['clone', ...properties, snapshot.location, dataset], options)
    } catch (error) {
      if (!isDomainError(error, 'already_exists')) throw error
    }
    const listed = await this.#read(name, options)
    const clone = listed && readClone(this.#tree, listed)
    if (listed === undefined || clone === undefined || clone.chain !== snapshot.chain)
      throw nameTaken(name, clone)
    if (listed.get('mounted') !== 'yes') await mount(this.#zfs, dataset, subject, options)
    return clone
  }

  async list(options: Abortable = {}): Promise<Clone[]> {
    const args = [...listingArgs(cloneProperties, '-r', '-d', '1'), this.#tree.clones]
    const subject = { resource: 'clone', name: this.#tree.clones } as const
    const listing = parseListing(await this.#zfs.read(subject, args, options))
    return listing
      .flatMap(listed => readClone(this.#tree, listed) ?? [])
      .toSorted((left, right) => (left.name < right.name ? -1 : 1))
  }

  /**
   * Only what carries our mark; never with `-r`, for snapshots that somebody took of a clone are not ours.
   */
  destroy(name: CloneName, options: Abortable = {}): Promise<void> {
    return this.#changing.run(name, () => this.#destroy(name, options))
  }

  async #destroy(name: CloneName, options: Abortable): Promise<void> {
    const listed = await this.#read(name, options)
    if (listed === undefined || readClone(this.#tree, listed) === undefined)
      throw new DomainError('not_found', `There is no clone ${name}; varve lists those that there are.`, {
        resource: 'clone',
        name,
      })
    await this.#zfs.change({ resource: 'clone', name }, ['destroy', listed.name], options)
  }

  async #read(name: CloneName, options: Abortable): Promise<Listed | undefined> {
    const args = [...listingArgs(cloneProperties), cloneDataset(this.#tree, name)]
    try {
      return parseListing(await this.#zfs.read({ resource: 'clone', name }, args, options))[0]
    } catch (error) {
      if (isDomainError(error, 'not_found')) return undefined
      throw error
    }
  }
}

function nameTaken(name: CloneName, clone: Clone | undefined): DomainError {
  const by = clone === undefined ? 'a dataset that is not ours' : `a clone of ${clone.chain}`
  return new DomainError(
    'conflict',
    `The name ${name} is taken by ${by}; choose another name, or destroy that one first.`,
    { resource: 'clone', name },
  )
}

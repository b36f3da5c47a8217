import { join } from 'node:path'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainSnapshot, Clone, CloneName, CloneOptions } from '../chain-store.ts'
import { KeyedQueue } from '../keyed-queue.ts'
import { checkMountpoint, isMountPoint, requireFree } from './clone-mountpoint.ts'
import { type CloneRequest, cloneRequestOf, differenceOf } from './clone-options.ts'
import { type CloneFacts, clonePropertiesOf, madeClone, readClone } from './clone-properties.ts'
import { cloneDataset, type DatasetTree } from './dataset-names.ts'
import type { StorePlaces } from './dataset-tree.ts'
import { mount } from './mounts.ts'
import { cloneProperties, type Listed, listingArgs, optionArgs, parseListing } from './properties.ts'
import type { ZfsCommand } from './zfs-command.ts'
import { stderrOf } from './zfs-errors.ts'

/** Clones, which only ZFS remembers: other processes, and people, make and destroy them too. */
export class ZfsClones {
  readonly #zfs: ZfsCommand
  readonly #tree: DatasetTree
  readonly #places: StorePlaces
  /** A clone is there a moment before it is mounted, and two must not try to mount it. */
  readonly #changing = new KeyedQueue<CloneName>()

  constructor(zfs: ZfsCommand, tree: DatasetTree, places: StorePlaces) {
    this.#zfs = zfs
    this.#tree = tree
    this.#places = places
  }

  /**
   * One command, whether the clone is made or is there already.
   * @throws DomainError `not_found` when the snapshot is gone; `conflict` when the name is taken, or by a clone that is not as
   * it is asked for; `invalid` for options that no clone can have.
   */
  async clone(snapshot: ChainSnapshot, name: CloneName, options: CloneOptions = {}): Promise<Clone> {
    const request = cloneRequestOf(name, options)
    if (request.mountpoint !== undefined) checkMountpoint(name, request.mountpoint, this.#places.own)
    return await this.#changing.run(name, () => this.#clone(snapshot, name, request, options))
  }

  async #clone(
    snapshot: ChainSnapshot,
    name: CloneName,
    request: CloneRequest,
    options: CloneOptions,
  ): Promise<Clone> {
    const mountpoint = request.mountpoint ?? this.#defaultMountpoint(name)
    if (mountpoint !== undefined && (await isMountPoint(mountpoint))) {
      const present = await this.#present(snapshot, name, request, options)
      if (present !== undefined) return present
    }
    if (request.mountpoint !== undefined) await requireFree(name, request.mountpoint)
    const { manifestDigest, signal } = options
    const facts = { chain: snapshot.chain, createdAt: new Date(), manifestDigest }
    if (await this.#make(snapshot, name, { request, facts, signal })) {
      // A command that succeeds has mounted it, but where, only ZFS knows for sure: the parent may have been moved since.
      if (mountpoint !== undefined && (await isMountPoint(mountpoint)))
        return madeClone(
          { dataset: cloneDataset(this.#tree, name), name, origin: snapshot.location, mountpoint },
          request.properties,
          facts,
        )
    }
    const present = await this.#present(snapshot, name, request, options)
    if (present === undefined) throw nameTaken(name, undefined)
    return present
  }

  /** Answers whether it was made, and not there already. */
  async #make(
    snapshot: ChainSnapshot,
    name: CloneName,
    { request, facts, signal }: { request: CloneRequest; facts: CloneFacts } & Abortable,
  ): Promise<boolean> {
    const dataset = cloneDataset(this.#tree, name)
    const subject = { resource: 'clone', name } as const
    const place = request.mountpoint === undefined ? {} : { mountpoint: request.mountpoint }
    const properties = optionArgs({ ...clonePropertiesOf(facts, request.properties), ...place })
    try {
      await this.#zfs.change(subject, ['clone', ...properties, snapshot.location, dataset], { signal })
      return true
    } catch (error) {
      if (isDomainError(error, 'already_exists')) return false
      // Made, but of no use to anybody where it is.
      if (isUnmountable(error)) await this.#zfs.change(subject, ['destroy', dataset])
      throw error
    }
  }

  /** The clone that has the name, mounted; `undefined` when none has. @throws DomainError `conflict` when it is another. */
  async #present(
    snapshot: ChainSnapshot,
    name: CloneName,
    request: CloneRequest,
    options: Abortable,
  ): Promise<Clone | undefined> {
    const listed = await this.#read(name, options, Object.keys(request.properties))
    if (listed === undefined) return undefined
    const clone = readClone(this.#tree, listed)
    if (clone === undefined || clone.chain !== snapshot.chain) throw nameTaken(name, clone)
    const difference = differenceOf(request, listed)
    if (difference !== undefined)
      throw new DomainError(
        'conflict',
        `The clone ${name} is there and has ${difference}; ask for it without that, change it with zfs set, or destroy it first.`,
        { resource: 'clone', name },
      )
    if (listed.get('mounted') !== 'yes')
      await mount(this.#zfs, cloneDataset(this.#tree, name), { resource: 'clone', name }, options)
    return clone
  }

  #defaultMountpoint(name: CloneName): string | undefined {
    return this.#places.clones === undefined ? undefined : join(this.#places.clones, name)
  }

  async find(name: CloneName, options: Abortable = {}): Promise<Clone | undefined> {
    const listed = await this.#read(name, options)
    return listed && readClone(this.#tree, listed)
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

  async #read(
    name: CloneName,
    options: Abortable,
    further: readonly string[] = [],
  ): Promise<Listed | undefined> {
    const properties = new Set([...cloneProperties, ...further])
    const args = [...listingArgs([...properties]), cloneDataset(this.#tree, name)]
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

/** `zfs clone` makes the dataset first, and mounts it then. */
function isUnmountable(error: unknown): boolean {
  return isDomainError(error) && /cannot mount/i.test(stderrOf(error.cause))
}

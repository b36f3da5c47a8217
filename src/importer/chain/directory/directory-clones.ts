import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import pLimit from 'p-limit'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { unknownChain } from '../chain-rules.ts'
import type { ChainSnapshot, Clone, CloneName, CloneOptions } from '../chain-store.ts'
import { parseCloneName } from '../clone-name.ts'
import { onDisk } from '../fs-errors.ts'
import { copyChain } from './copy-chain.ts'
import { cloneFileOf, type DirectoryLayout, rootfsOf } from './directory-layout.ts'
import { cloneSchema, readRecord, writeRecord } from './record-files.ts'
import { Staging } from './staging.ts'

/** Records that are read at once: a process may open only so many files. */
const openFiles = 32

/** Clones that are full copies: slow, but nothing that is done to one can be seen in another. */
export class DirectoryClones {
  readonly #layout: DirectoryLayout

  constructor(layout: DirectoryLayout) {
    this.#layout = layout
  }

  async clone(snapshot: ChainSnapshot, name: CloneName, options: CloneOptions = {}): Promise<Clone> {
    refuseZfsOptions(name, options)
    const present = (await this.#read(name)) ?? (await this.#copy(snapshot, name, options))
    if (present.chain === snapshot.chain) return present
    throw new DomainError(
      'conflict',
      `The name ${name} is taken by a clone of ${present.chain}; choose another name, or destroy that one first.`,
      { resource: 'clone', name },
    )
  }

  async find(name: CloneName, options: Abortable = {}): Promise<Clone | undefined> {
    options.signal?.throwIfAborted()
    return await this.#read(name)
  }

  async list(options: Abortable = {}): Promise<Clone[]> {
    options.signal?.throwIfAborted()
    const names = await onDisk(this.#layout.clones, () => readdir(this.#layout.clones))
    const ours = names.toSorted().flatMap(name => cloneNameIn(name) ?? [])
    const clones = await pLimit(openFiles).map(ours, name => this.#read(name))
    return clones.filter(clone => clone !== undefined)
  }

  async destroy(name: CloneName, options: Abortable = {}): Promise<void> {
    options.signal?.throwIfAborted()
    if ((await this.#read(name)) === undefined) throw unknownClone(name)
    await using _removed = await Staging.takeOut(this.#layout, this.#layout.clone(name))
  }

  async #copy(snapshot: ChainSnapshot, name: CloneName, options: CloneOptions): Promise<Clone> {
    await using staging = await Staging.create(this.#layout)
    await copyChain(snapshot, rootfsOf(staging.directory), { ...options, files: 'copy' })
    const { manifestDigest } = options
    const record = { chain: snapshot.chain, createdAt: new Date(), manifestDigest }
    await writeRecord(cloneFileOf(staging.directory), record)
    const isOurs = await staging.publish(this.#layout.clone(name), options)
    if (isOurs && !existsSync(snapshot.location)) {
      // Whoever has removed the chain has not seen the clone.
      await using _removed = await Staging.takeOut(this.#layout, this.#layout.clone(name))
      throw unknownChain(snapshot.chain)
    }
    // When the name was taken meanwhile, what is there decides.
    const clone = await this.#read(name)
    if (clone === undefined) throw unknownChain(snapshot.chain)
    return clone
  }

  async #read(name: CloneName): Promise<Clone | undefined> {
    const mountpoint = this.#layout.clone(name)
    const record = await readRecord(cloneFileOf(mountpoint), cloneSchema)
    return (
      record && {
        ...record,
        name,
        dataset: mountpoint,
        mountpoint,
        rootfs: rootfsOf(mountpoint),
        origin: this.#layout.chain(record.chain),
      }
    )
  }
}

/** Undefined for what is there and cannot be a clone, such as `lost+found`. */
function cloneNameIn(entry: string): CloneName | undefined {
  try {
    return parseCloneName(entry)
  } catch (error) {
    if (isDomainError(error, 'invalid')) return undefined
    throw error
  }
}

function unknownClone(name: CloneName): DomainError {
  return new DomainError('not_found', `There is no clone ${name}.`, { resource: 'clone', name })
}

/** A quota is left out where it cannot be kept; what a clone is mounted as, or consists of, must not be. */
function refuseZfsOptions(name: CloneName, { mountpoint, properties = {} }: CloneOptions): void {
  if (mountpoint === undefined && Object.keys(properties).length === 0) return
  throw new DomainError(
    'unsupported',
    `The clone ${name} can have no mountpoint and no properties of its own: without ZFS clones are directories of the store.`,
    { resource: 'clone', name },
  )
}

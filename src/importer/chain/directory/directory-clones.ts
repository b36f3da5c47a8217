import { readdir } from 'node:fs/promises'
import pLimit from 'p-limit'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { unknownChain } from '../chain-rules.ts'
import type { ChainSnapshot, Clone, CloneName } from '../chain-store.ts'
import { parseCloneName } from '../clone-name.ts'
import { onDisk } from '../fs-errors.ts'
import { copyTree } from './copy-tree.ts'
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

  async clone(snapshot: ChainSnapshot, name: CloneName, options: Abortable = {}): Promise<Clone> {
    const present = (await this.#read(name)) ?? (await this.#copy(snapshot, name, options))
    if (present.chain === snapshot.chain) return present
    throw new DomainError(
      'conflict',
      `The name ${name} is taken by a clone of ${present.chain}; choose another name, or destroy that one first.`,
      { resource: 'clone', name },
    )
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

  async #copy(snapshot: ChainSnapshot, name: CloneName, options: Abortable): Promise<Clone> {
    await using staging = await Staging.create(this.#layout)
    await copyTree(rootfsOf(snapshot.location), rootfsOf(staging.directory), { ...options, files: 'copy' })
    const record = { chain: snapshot.chain, createdAt: new Date() }
    await writeRecord(cloneFileOf(staging.directory), record)
    // When the name was taken meanwhile, what is there decides.
    await staging.publish(this.#layout.clone(name), options)
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

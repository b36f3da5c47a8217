import { chmod, readdir } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ChainId } from '../../../storage/chain-id.ts'
import type { DiffId, Digest } from '../../../storage/digest.ts'
import { makeDirectories } from '../../../storage/make-directories.ts'
import { ChainClaims } from '../chain-claims.ts'
import { chainInUse, unknownChain } from '../chain-rules.ts'
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
import { makeEmptyRootfs } from '../empty-rootfs.ts'
import { onDisk } from '../fs-errors.ts'
import { copyChain } from './copy-chain.ts'
import { DirectoryChainBuilder } from './directory-chain-builder.ts'
import { DirectoryClones } from './directory-clones.ts'
import { DirectoryLayout, rootfsOf } from './directory-layout.ts'
import { listLineages } from './directory-lineages.ts'
import { isUnfinishedRecord, mark, markSchema, readRecord, writeWholeRecord } from './record-files.ts'
import { listSnapshots, readSnapshot } from './snapshots.ts'
import { Staging } from './staging.ts'

export interface DirectoryChainStoreOptions extends Abortable {
  /** Made when it is not there; an empty one, or one of ours. */
  readonly directory: string
}

/**
 * Chains as directories, for development without ZFS: the same promises, but clones take as long as copying
 * does.
 */
export class DirectoryChainStore implements ChainStore {
  readonly description: string
  readonly recordsDirectory: string
  readonly spoolDirectory: string
  readonly #layout: DirectoryLayout
  readonly #clones: DirectoryClones
  readonly #claims: ChainClaims

  private constructor(layout: DirectoryLayout) {
    this.description = `directory ${layout.directory} (copies instead of ZFS clones)`
    this.recordsDirectory = layout.images
    this.spoolDirectory = layout.spool
    this.#layout = layout
    this.#clones = new DirectoryClones(layout)
    this.#claims = new ChainClaims(layout.claims)
  }

  /**
   * @throws DomainError `denied` without root's rights, `conflict` for a directory with content that is not
   * ours.
   */
  static async open(options: DirectoryChainStoreOptions): Promise<DirectoryChainStore> {
    options.signal?.throwIfAborted()
    const layout = new DirectoryLayout(resolve(options.directory))
    requireRoot(layout.directory)
    await onDisk(layout.directory, () => makeDirectories(layout.directory))
    await claim(layout)
    const { images, spool, claims, locks, building, chains, clones } = layout
    for (const directory of [images, spool, claims, locks, building, chains, clones])
      await onDisk(directory, () => makeDirectories(directory))
    return new DirectoryChainStore(layout)
  }

  async find(chain: ChainId, options: Abortable = {}): Promise<ChainSnapshot | undefined> {
    options.signal?.throwIfAborted()
    return readSnapshot(this.#layout, chain)
  }

  async findLast(chains: readonly ChainId[], options: Abortable = {}): Promise<ChainSnapshot | undefined> {
    for (const chain of chains.toReversed()) {
      const snapshot = await this.find(chain, options)
      if (snapshot !== undefined) return snapshot
    }
    return undefined
  }

  /** There is no memory. */
  lastKnown(chains: readonly ChainId[], options: Abortable = {}): Promise<ChainSnapshot | undefined> {
    return this.findLast(chains, options)
  }

  async findAll(
    chains: readonly ChainId[],
    options: Abortable = {},
  ): Promise<ReadonlyMap<ChainId, ChainSnapshot>> {
    const found = new Map<ChainId, ChainSnapshot>()
    for (const chain of chains) {
      const snapshot = await this.find(chain, options)
      if (snapshot !== undefined) found.set(chain, snapshot)
    }
    return found
  }

  async diffIdsOf(blobs: readonly Digest[], options: Abortable = {}): Promise<ReadonlyMap<Digest, DiffId>> {
    const found = new Map<Digest, DiffId>()
    const wanted = new Set(blobs)
    if (wanted.size === 0) return found
    for await (const { facts } of listSnapshots(this.#layout)) {
      options.signal?.throwIfAborted()
      if (wanted.has(facts.blob)) found.set(facts.blob, facts.diffId)
    }
    return found
  }

  async extend(base: ChainId | null, options: Abortable = {}): Promise<ChainBuilder> {
    options.signal?.throwIfAborted()
    const from = base === null ? undefined : await this.#existing(base)
    await using undo = new AsyncDisposableStack()
    const staging = undo.use(await Staging.create(this.#layout))
    const rootfs = rootfsOf(staging.directory)
    if (from === undefined) await makeEmptyRootfs(rootfs)
    else await copyChain(from, rootfs, { ...options, files: 'share' })
    undo.move()
    return new DirectoryChainBuilder(this.#layout, staging, from)
  }

  claim(chain: ChainId): ChainClaim | undefined {
    return this.#claims.claim(chain)
  }

  claimRecords(): Disposable | undefined {
    return this.#claims.claimRecords()
  }

  async *walk(options: Abortable = {}): AsyncGenerator<ChainSnapshot | Unfinished> {
    options.signal?.throwIfAborted()
    for await (const snapshot of listSnapshots(this.#layout)) {
      options.signal?.throwIfAborted()
      yield snapshot
    }
    for (const id of await Staging.leftBehind(this.#layout))
      yield { kind: 'unfinished', location: `${this.#layout.building}/${id}` }
  }

  async lineages(options: Abortable = {}): Promise<ChainLineage[]> {
    options.signal?.throwIfAborted()
    return await listLineages(this.#layout)
  }

  async reclaim(options: Abortable = {}): Promise<number> {
    let count = 0
    options.signal?.throwIfAborted()
    for (const id of await Staging.leftBehind(this.#layout)) {
      options.signal?.throwIfAborted()
      if (await Staging.reclaim(this.#layout, id)) count++
    }
    await Staging.dropStrayLocks(this.#layout)
    return count
  }

  async remove(chain: ChainId, options: Abortable = {}): Promise<void> {
    options.signal?.throwIfAborted()
    const snapshot = await this.#existing(chain)
    for await (const other of listSnapshots(this.#layout))
      if (other.facts.parent === chain) throw chainInUse(chain, `the longer chain ${other.chain} needs it`)
    await this.#refuseWhileCloned(chain, options)
    await using removed = await Staging.takeOut(this.#layout, snapshot.location)
    try {
      // Whoever has cloned it by now has found it in its place, and whoever comes later does not.
      await this.#refuseWhileCloned(chain)
    } catch (error) {
      await removed.publish(snapshot.location)
      throw error
    }
  }

  async #refuseWhileCloned(chain: ChainId, options?: Abortable): Promise<void> {
    const clone = (await this.clones(options)).find(one => one.chain === chain)
    if (clone !== undefined) throw chainInUse(chain, `the clone ${clone.name} was made from it`)
  }

  async clone(chain: ChainId, name: CloneName, options: CloneOptions = {}): Promise<Clone> {
    options.signal?.throwIfAborted()
    return this.#clones.clone(await this.#existing(chain), name, options)
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

  async #existing(chain: ChainId): Promise<ChainSnapshot> {
    const snapshot = await readSnapshot(this.#layout, chain)
    if (snapshot === undefined) throw unknownChain(chain)
    return snapshot
  }
}

function requireRoot(directory: string): void {
  if (process.geteuid?.() === 0) return
  throw new DomainError(
    'denied',
    `Only root can keep the owners of an image's files in ${directory}; run Varve as root.`,
    { resource: 'pool', name: directory },
  )
}

/** A directory is ours when it has our mark, and becomes ours when it is empty. */
async function claim(layout: DirectoryLayout): Promise<void> {
  if (await isMarked(layout)) return
  const entries = await onDisk(layout.directory, () => readdir(layout.directory))
  const isStrange = entries.some(
    name => !name.startsWith(`${basename(layout.mark)}.`) || !isUnfinishedRecord(name),
  )
  // Another process of ours may have opened the same directory since we looked.
  if (isStrange && (await isMarked(layout))) return
  if (isStrange)
    throw new DomainError(
      'conflict',
      `${layout.directory} is not empty and does not belong to Varve; choose an empty directory for the chains.`,
      { resource: 'pool', name: layout.directory },
    )
  await onDisk(layout.directory, () => chmod(layout.directory, 0o700))
  try {
    await writeWholeRecord(layout.mark, mark)
  } catch (error) {
    // Another process of ours opens the same directory at this moment.
    if (!isDomainError(error, 'already_exists')) throw error
  }
}

async function isMarked(layout: DirectoryLayout): Promise<boolean> {
  return (await readRecord(layout.mark, markSchema)) !== undefined
}

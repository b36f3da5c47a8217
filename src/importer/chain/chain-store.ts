import type { Abortable } from '../../storage/abortable.ts'
import type { ChainId } from '../../storage/chain-id.ts'
import type { DiffId, Digest } from '../../storage/digest.ts'
import type { LayerReport } from '../layer/apply-layer.ts'
import type { ImagePublisher } from '../smartos/image-publisher.ts'

/**
 * CONTRACT. Chains of layers as snapshots, and clones of them. The executable half is
 * `test/contract/chain-store.ts`.
 *
 * One import, from an empty pool:
 *
 *     await using builder = await store.extend(null)       // a private, empty tree at builder.rootfs
 *     applyLayer(builder.rootfs, layer 0);  await builder.commit(chain 0, facts)
 *     applyLayer(builder.rootfs, layer 1);  await builder.commit(chain 1, facts)
 *     await store.clone(chain 1, 'web1')                   // its own writable tree, made without copying
 *
 * Another image with the same layer 0 starts at `store.extend(chain 0)`. What `commit` has not yet named can
 * be seen by nobody and is discarded when the builder is disposed; what it has named is complete, never
 * changes, and survives a crash of the machine. Callers verify digests and diff IDs *before* they commit.
 *
 * A store touches nothing that it did not make: everything of its own carries a mark.
 */
export interface ChainStore extends AsyncDisposable {
  /** One line for people: which kind of store this is and where. */
  readonly description: string
  /** A directory that lives and dies with the chains, for the records of the images (private to root). */
  readonly recordsDirectory: string
  /** A directory for what is on its way into chains; emptied by whoever uses it (private to root). */
  readonly spoolDirectory: string
  /** Makes chains images of SmartOS; `undefined` where there is no ZFS. */
  readonly publisher?: ImagePublisher | undefined

  /** As it is now: other processes make and remove chains as well. */
  find(chain: ChainId, options?: Abortable): Promise<ChainSnapshot | undefined>
  /** The last of `chains` that is there: one question for all layers of an image, base first. */
  findLast(chains: readonly ChainId[], options?: Abortable): Promise<ChainSnapshot | undefined>
  /** As {@link findLast}, from memory where the store has one: what others have done meanwhile may be missing. */
  lastKnown(chains: readonly ChainId[], options?: Abortable): Promise<ChainSnapshot | undefined>
  /** Those of `chains` that are there, as they are now. */
  findAll(chains: readonly ChainId[], options?: Abortable): Promise<ReadonlyMap<ChainId, ChainSnapshot>>
  /**
   * The diff IDs of those of `blobs` that a layer here was applied from: what this host itself has computed. As
   * the store knows it at this moment; another process's latest may be missing.
   */
  diffIdsOf(blobs: readonly Digest[], options?: Abortable): Promise<ReadonlyMap<Digest, DiffId>>
  /**
   * Opens a tree to apply layers to: empty, or with the content of `base`.
   * @throws DomainError `not_found` when `base` is unknown.
   */
  extend(base: ChainId | null, options?: Abortable): Promise<ChainBuilder>
  /**
   * Claims the making of one chain against every process that works on the same chains. Never waits: `undefined` while
   * somebody else has claimed it, who may also be making an unrelated one. Ends with the process, however that ends.
   */
  claim(chain: ChainId): ChainClaim | undefined
  /** Claims, as {@link claim} does, the records of the images, and what they say that chains are needed for. */
  claimRecords(): Disposable | undefined
  /** Every chain, and what unfinished work has been left behind. */
  walk(options?: Abortable): AsyncIterable<ChainSnapshot | Unfinished>
  /**
   * How the chains hang together, with what each link takes in space: as it is now, in byte order of `dataset`. For
   * people and for whoever makes room, since it costs a listing of everything.
   */
  lineages(options?: Abortable): Promise<ChainLineage[]>
  /** Discards what dead builders have left behind. Returns how many. */
  reclaim(options?: Abortable): Promise<number>
  /** @throws DomainError `not_found`; `conflict` while clones or longer chains need it. */
  remove(chain: ChainId, options?: Abortable): Promise<void>

  /**
   * Makes a writable tree with the content of `chain`. Idempotent by name: the same name and chain give the
   * clone that is there. Options that are given must then be what it has; nothing of it is changed.
   * @throws DomainError `not_found`, `conflict` when the name is taken by a clone of another chain, or with
   * other options.
   */
  clone(chain: ChainId, name: CloneName, options?: CloneOptions): Promise<Clone>
  /** `undefined` when there is no clone of this name. */
  findClone(name: CloneName, options?: Abortable): Promise<Clone | undefined>
  /** Clones in byte order of their names. */
  clones(options?: Abortable): Promise<Clone[]>
  /** @throws DomainError `not_found`; `busy` when something still uses the tree. */
  destroyClone(name: CloneName, options?: Abortable): Promise<void>
}

export interface ChainBuilder extends AsyncDisposable {
  /**
   * The directory that becomes the image's `/`. Its files may be shared with what was committed before:
   * replace a file, never write into it or change its owner, mode or times. Directories are the builder's
   * own.
   */
  readonly rootfs: string
  /**
   * Facts of the very snapshot that the tree began with; absent for an empty one. Others may have committed the same chain
   * with other notes.
   */
  readonly base?: LayerFacts | undefined
  /**
   * Call once per layer, in order. When `chain` was committed meanwhile by somebody else, that one is
   * answered.
   * @throws DomainError `invalid` when `facts.parent` is not the chain that was committed before, or the
   * base.
   */
  commit(chain: ChainId, facts: LayerFacts, options?: CommitOptions): Promise<ChainSnapshot>
}

/** Disposing lets others have it. Whoever gets a claim looks whether the chain is there by now. */
export interface ChainClaim extends Disposable {
  readonly chain: ChainId
}

export interface CommitOptions extends Abortable {
  /** No layer follows: `rootfs` may become the snapshot itself, so nothing may be done with the builder but to dispose it. */
  readonly isLast?: boolean | undefined
}

/** What is remembered of one applied layer, with its snapshot. */
export interface LayerFacts {
  readonly diffId: DiffId
  /** Digest of the blob that the layer was applied from. */
  readonly blob: Digest
  readonly parent: ChainId | null
  readonly entries: number
  /** Bytes of file content. */
  readonly bytes: number
  /** Absent for a layer that was applied when it was not kept yet. Stores shorten warnings that have no room. */
  readonly notes?: LayerNotes | undefined
}

/** What the report of an applied layer says besides entries and bytes. */
export type LayerNotes = Omit<LayerReport, 'entries' | 'bytes'>

export interface ChainSnapshot {
  readonly kind: 'snapshot'
  readonly chain: ChainId
  readonly facts: LayerFacts
  /** The store's own name for it, such as `tank/varve/chains/4f…@9c…`. */
  readonly location: string
}

/** A place with a sequence of snapshots, each with one layer more than the one before. */
export interface ChainLineage {
  /** The dataset; the directory of the first snapshot where there are no datasets. */
  readonly dataset: string
  /** {@link ChainSnapshot.location} of the snapshot that it branches off; absent for one that began empty. */
  readonly origin?: string | undefined
  /** Somebody builds in it at this moment, or a dead builder has left it so. */
  readonly unfinished: boolean
  /** Oldest first. */
  readonly snapshots: readonly LineageSnapshot[]
}

export interface LineageSnapshot extends ChainSnapshot {
  readonly createdAt: Date
  /**
   * Bytes that the link takes in the pool, which come back when it is removed after all that is built on it. Where the
   * store cannot tell (directories, ZFS of before 2012), the bytes of file content that its layer brought.
   */
  readonly usedBytes: number
}

export interface Unfinished {
  readonly kind: 'unfinished'
  readonly location: string
}

export interface CloneOptions extends Abortable {
  /** Bytes that the clone may grow to; only where the store can limit. */
  readonly quota?: number | undefined
  /** An absolute path, where the clone is mounted instead of below the store's own directory. */
  readonly mountpoint?: string | undefined
  /**
   * ZFS properties, of those that a stranger may be given (`zfs/clone-options.ts`).
   * @throws DomainError `invalid` for others, `unsupported` where there is no ZFS.
   */
  readonly properties?: Readonly<Record<string, string>> | undefined
  /** Manifest of the image that the clone is made of: kept with a clone that is made, for images may share a chain. */
  readonly manifestDigest?: Digest | undefined
}

export interface Clone {
  readonly name: CloneName
  readonly chain: ChainId
  /** The dataset, or the directory where there are no datasets. */
  readonly dataset: string
  readonly mountpoint: string
  /** The image's `/`: a directory below the mountpoint. */
  readonly rootfs: string
  /** Where it was cloned from, as {@link ChainSnapshot.location}. */
  readonly origin: string
  readonly createdAt: Date
  /** As {@link CloneOptions.manifestDigest} when it was made. */
  readonly manifestDigest?: Digest | undefined
  /** Bytes, as they are limited now. */
  readonly quota?: number | undefined
}

export type CloneName = string & { readonly __brand: 'CloneName' }

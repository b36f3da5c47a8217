import type { DomainError } from '../errors.ts'
import type { Abortable } from '../storage/abortable.ts'
import type { ChainId } from '../storage/chain-id.ts'
import type { DiffId, Digest } from '../storage/digest.ts'
import type { ProcessConfig } from '../storage/image-config.ts'
import type { Platform } from '../storage/platform.ts'
import type { Clone, CloneName, CloneOptions, LayerNotes } from './chain/chain-store.ts'
import type { LayerReport } from './layer/apply-layer.ts'
import type { EffectiveProcess } from './process/effective-process.ts'
import type { Unrunnable } from './process/image-process.ts'
import type { TritonImage } from './smartos/triton-image.ts'

/**
 * CONTRACT. What a provisioner asks for. Two implementations: in this process (`importer.ts`) and through an agent
 * (`agent/agent-client.ts`), so a command behaves the same either way.
 */
export interface ImportService extends AsyncDisposable {
  /** One line for people: where chains and clones are. */
  describe(options?: Abortable): Promise<string>
  /**
   * Makes sure that the image is there; joins an import of the same layers that is running.
   * @throws DomainError of the source, of the layer, or of the chain store; what was finished stays and is reused.
   */
  import(request: ImportRequest, options?: ImportOptions): Promise<ImportResult>
  /** In the order of their names. */
  images(options?: Abortable): Promise<ImageSummary[]>
  /** An image with its layers. @throws DomainError `not_found`; `conflict` when a beginning of digits fits several. */
  inspect(image: string, options?: Abortable): Promise<InspectedImage>
  /** Forgets the image and removes the chains that nothing else needs. @throws DomainError `not_found`, `conflict` while a clone needs it. */
  removeImage(image: string, options?: Abortable): Promise<RemovedImage>
  /** A tree of its own for a zone. Idempotent by name. @throws DomainError `not_found`, `conflict`. */
  clone(image: string, name: CloneName, options?: CloneOptions): Promise<ClonedImage>
  /**
   * Many clones of one image, each as {@link clone} makes it; one that fails keeps none of the others from it. Outcomes in
   * the order of `names`. @throws DomainError `not_found`; `invalid` for a name twice, or more than {@link maxClonesOfOneCall}.
   */
  cloneMany(image: string, names: readonly CloneName[], options?: CloneOptions): Promise<CloneOutcome[]>
  /** In byte order of their names. */
  clones(options?: Abortable): Promise<Clone[]>
  /** What {@link clone} answered, as it is now. @throws DomainError `not_found`. */
  inspectClone(name: CloneName, options?: Abortable): Promise<ClonedImage>
  /** @throws DomainError `not_found`, `busy`. */
  destroyClone(name: CloneName, options?: Abortable): Promise<void>

  /** Removes images that nobody has used for long, or as many as it takes to free what is wanted. */
  prune(request: PruneRequest, options?: Abortable): Promise<PruneReport>
  /** Every lineage with its snapshots, and what was cloned from them: a forest. */
  history(options?: Abortable): Promise<LineageHistory[]>

  /**
   * Makes the image one that SmartOS knows: `POOL/UUID@final`, with its manifest. Idempotent.
   * @throws DomainError `not_found`; `unsupported` where there is no ZFS, or for what no LX zone can run; `conflict` when
   * the name is taken by what is not ours.
   */
  publish(image: string, options?: Abortable): Promise<PublishedImage>
  published(options?: Abortable): Promise<PublishedImage[]>
  /** @throws DomainError `not_found`; `conflict` while zones were made from it. */
  unpublish(uuid: string, options?: Abortable): Promise<void>
}

export interface ImportRequest {
  /** As a person writes it: `[registry/]repository[:tag][@digest]`. */
  readonly image: string
  readonly platform: Platform
  /** Name of configured credentials; without it those of the image's registry, if any. */
  readonly credentials?: string | undefined
}

/** At most so many clones by one call. */
export const maxClonesOfOneCall = 10_000

/** What became of one of many clones. */
export type CloneOutcome =
  | { readonly name: CloneName; readonly clone: Clone }
  | { readonly name: CloneName; readonly error: DomainError }

/** Without any bound nothing is removed. Images that clones or publications need are never removed. */
export interface PruneRequest {
  /** Only what has not been used for so long: imported, cloned or published. Seconds. */
  readonly unusedSeconds?: number | undefined
  /** Least recently used first, until all images together use no more than so many bytes of the pool. */
  readonly targetBytes?: number | undefined
  /** Tells what would be removed, and removes nothing. */
  readonly dryRun?: boolean | undefined
}

export interface PruneReport {
  readonly removed: readonly PrunedImage[]
  /** Why images that were old enough were kept, or could not be removed. */
  readonly kept: readonly { readonly image: string; readonly reason: string }[]
  /** Chains that no image has, such as those of an import that was cut short; after a day without one they go too. */
  readonly orphanedChains: number
  /** Bytes that all chains took in the pool before and take now; before and would take then, when it is a dry run. */
  readonly usedBytesBefore: number
  readonly usedBytesAfter: number
}

export interface PrunedImage {
  readonly names: readonly string[]
  readonly manifestDigest: Digest
  readonly lastUsedAt: Date
  /** Chains that went with it. */
  readonly removedChains: number
}

/** One lineage: a dataset with its chain of snapshots. */
export interface LineageHistory {
  readonly dataset: string
  /** The snapshot that it branches off; absent for one that began empty. */
  readonly origin?: string | undefined
  /** Somebody builds in it at this moment, or a dead builder has left it so. */
  readonly unfinished: boolean
  /** Oldest first. */
  readonly snapshots: readonly SnapshotHistory[]
}

export interface SnapshotHistory {
  readonly chainId: ChainId
  readonly location: string
  readonly diffId: DiffId
  readonly entries: number
  /** Bytes of file content that the layer brought. */
  readonly bytes: number
  /** Bytes that it takes in the pool. */
  readonly usedBytes: number
  readonly createdAt: Date
  /** Names (without one: the digest) of the images whose last layer this is. */
  readonly images: readonly string[]
  readonly clones: readonly CloneName[]
  /** Datasets that it is published as. */
  readonly published: readonly string[]
}

/** An image as imgadm and vmadm find it in a pool. */
export interface PublishedImage {
  readonly uuid: string
  /** `POOL/UUID`. */
  readonly dataset: string
  /** `POOL/UUID@final`. */
  readonly snapshot: string
  readonly chainId: ChainId
  /** Of the image as it is recorded; absent when the image has been removed since. */
  readonly names: readonly string[]
}

export interface ImportOptions extends Abortable {
  readonly onEvent?: ((event: ImportEvent) => void) | undefined
}

/**
 * Progress of one import: `resolved`, then of each layer `layer-progress` until its `layer-done`, base first; what later
 * layers download meanwhile comes in between. `resolved` comes again when somebody has removed what was there: then
 * all that was told of layers no longer counts.
 */
export type ImportEvent = ResolvedEvent | WaitingEvent | LayerProgressEvent | LayerDoneEvent

export interface ResolvedEvent {
  readonly type: 'resolved'
  readonly image: string
  readonly manifestDigest: Digest
  readonly platform: string
  readonly layers: readonly PlannedLayer[]
}

/** Another import is making this layer. */
export interface WaitingEvent {
  readonly type: 'waiting'
  readonly chainId: ChainId
}

/**
 * `download`: the blob comes ahead of the layer's turn. `apply`: it is decompressed and applied, from what has come or as it
 * comes. `commit`: all of it has been applied and verified, and becomes a snapshot.
 */
export type LayerPhase = 'download' | 'apply' | 'commit'

/** At the begin of each phase, and then four times a second at most. */
export interface LayerProgressEvent {
  readonly type: 'layer-progress'
  /** Its place in the image, from 0 at the base. */
  readonly layer: number
  readonly phase: LayerPhase
  /** Bytes of the blob, of `size`, that the phase is done with; `apply` begins at 0 again. */
  readonly blobBytes: number
  readonly size: number
  /** Entries that have been applied. */
  readonly entries: number
  /** Bytes of file content that have been applied. */
  readonly bytes: number
  /** How fast `blobBytes` has grown in the last seconds. */
  readonly bytesPerSecond: number
}

export interface LayerDoneEvent {
  readonly type: 'layer-done'
  readonly layer: number
  readonly chainId: ChainId
  readonly location: string
  readonly report: LayerReport
  /** Since its turn came. */
  readonly milliseconds: number
}

export interface PlannedLayer {
  readonly chainId: ChainId
  readonly diffId: DiffId
  readonly blob: Digest
  readonly size: number
  /** Whether the chain up to here is there already. */
  readonly present: boolean
}

export interface ImportResult {
  readonly image: string
  readonly manifestDigest: Digest
  readonly chainId: ChainId
  /** The chain store's name for the snapshot. */
  readonly location: string
  readonly layers: number
  /** Layers that this call applied; 0 when there was nothing to do. */
  readonly imported: number
  readonly milliseconds: number
}

export interface ImageSummary {
  readonly names: readonly string[]
  readonly manifestDigest: Digest
  readonly configDigest: Digest
  readonly platform: string
  readonly chainId: ChainId
  readonly layers: number
  /** Bytes of all blobs, compressed. */
  readonly size: number
  readonly importedAt: Date
  /** When it was last imported, cloned or published, to the minute. */
  readonly lastUsedAt: Date
  /** How many clones there are of its last layer. */
  readonly clones: number
}

export interface InspectedImage extends Omit<ImageSummary, 'layers'> {
  /** Base first. */
  readonly layers: readonly InspectedLayer[]
  /** The image config, whole. */
  readonly config: unknown
  /** What the image says to run. */
  readonly process: ProcessConfig
  /** As Triton and SmartOS know it; absent for what no LX zone can run. */
  readonly triton?: TritonImage | undefined
}

export interface InspectedLayer {
  readonly blob: Digest
  readonly diffId: DiffId
  readonly chainId: ChainId
  /** Bytes of the blob, compressed. */
  readonly size: number
  /** Absent when the snapshot is no longer there. */
  readonly applied?: AppliedLayer | undefined
}

/** What is remembered of applying a layer. */
export interface AppliedLayer {
  /** The chain store's name for the snapshot. */
  readonly location: string
  readonly entries: number
  /** Bytes of file content. */
  readonly bytes: number
  /** Absent when the layer was applied by a version that did not keep them. */
  readonly notes?: LayerNotes | undefined
}

export interface RemovedImage {
  readonly names: readonly string[]
  readonly manifestDigest: Digest
  readonly removedChains: number
}

export interface ClonedImage extends Clone {
  readonly image: string
  readonly manifestDigest: Digest
  /** The image config, whole. */
  readonly config: unknown
  /** What the image says to run. */
  readonly process: ProcessConfig
  /** That, with all that it leaves open: the user by the clone's own accounts, PATH, the directory. */
  readonly run: EffectiveProcess | Unrunnable
  /** Manifest and vmadm payload, the clone's quota in it; absent for what no LX zone can run. */
  readonly triton?: TritonImage | undefined
}

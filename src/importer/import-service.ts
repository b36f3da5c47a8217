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
  clones(options?: Abortable): Promise<Clone[]>
  /** @throws DomainError `not_found`, `busy`. */
  destroyClone(name: CloneName, options?: Abortable): Promise<void>
}

export interface ImportRequest {
  /** As a person writes it: `[registry/]repository[:tag][@digest]`. */
  readonly image: string
  readonly platform: Platform
}

export interface ImportOptions extends Abortable {
  readonly onEvent?: ((event: ImportEvent) => void) | undefined
}

/** Progress of one import, in order: `resolved`, then layers, base first; `layer-fetched` comes in between. */
export type ImportEvent =
  | {
      readonly type: 'resolved'
      readonly image: string
      readonly manifestDigest: Digest
      readonly platform: string
      readonly layers: readonly PlannedLayer[]
    }
  | { readonly type: 'waiting'; readonly chainId: ChainId }
  | {
      /** Of a layer whose turn has not come yet. */
      readonly type: 'layer-fetched'
      readonly layer: number
      /** Bytes of the blob that have come ahead. */
      readonly blobBytes: number
    }
  | {
      readonly type: 'layer-progress'
      readonly layer: number
      /** Bytes of the blob that have been read. */
      readonly blobBytes: number
      readonly entries: number
    }
  | {
      readonly type: 'layer-done'
      readonly layer: number
      readonly chainId: ChainId
      readonly location: string
      readonly report: LayerReport
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
}

export interface InspectedImage extends Omit<ImageSummary, 'layers'> {
  /** Base first. */
  readonly layers: readonly InspectedLayer[]
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
}

import type { Abortable } from '../../storage/abortable.ts'
import type { ChainId } from '../../storage/chain-id.ts'
import type { ChainSnapshot } from '../chain/chain-store.ts'
import type { ImageManifest } from './image-manifest.ts'
import type { ImageUuid } from './image-uuid.ts'

/**
 * CONTRACT. Makes a chain an image of SmartOS: a dataset `POOL/UUID` with the one snapshot `@final`, which `vmadm create`
 * clones a zone from, and its manifest where imgadm looks for it. An optional power of a chain store: only ZFS has it.
 *
 * A publication needs its chain, so the chain cannot be removed while it is there. What does not carry our mark, and what
 * another store of the same pool has published, is never touched.
 */
export interface ImagePublisher {
  /**
   * Idempotent: what is published already is answered, and its manifest is written anew where it is missing or
   * another: of several images with these very layers the last one is described.
   * @throws DomainError `conflict` when the dataset's name is taken by what is not of this store, as by an image that
   * imgadm has installed itself; `not_found` when the snapshot is gone.
   */
  publish(image: ImageToPublish, options?: Abortable): Promise<PublishedDataset>
  /** What this store has published, in byte order of UUIDs; costs one listing. */
  list(options?: Abortable): Promise<PublishedDataset[]>
  /**
   * Nothing is changed when it is refused.
   * @throws DomainError `not_found`; `conflict` while zones, or other images, were made from it.
   */
  unpublish(uuid: ImageUuid, options?: Abortable): Promise<void>
  /** Discards what publishers that died have left behind. Answers how many datasets it found so. */
  reclaim(options?: Abortable): Promise<number>
}

export interface ImageToPublish {
  /** As in the manifest. */
  readonly uuid: ImageUuid
  readonly manifest: ImageManifest
  /** What the image's chain is in the store that publishes. */
  readonly snapshot: ChainSnapshot
}

export interface PublishedDataset {
  readonly uuid: ImageUuid
  /** `POOL/UUID`. */
  readonly dataset: string
  /** `POOL/UUID@final`. */
  readonly snapshot: string
  readonly chain: ChainId
}

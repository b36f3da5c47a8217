import type { ChainId } from '../../storage/chain-id.ts'
import type { DiffId, Digest } from '../../storage/digest.ts'
import type { Platform } from '../../storage/platform.ts'

/**
 * CONTRACT. Which images the chains belong to. A chain is layers only; what to run in them is the image's config, and
 * two images may share all their layers. Records live beside the chains, so a pool that moves takes them along.
 */
export interface ImageCatalog {
  /**
   * Records an image; its names no longer mean any other image. Durable when it resolves. An image that is there stays
   * as it was recorded first, with all names that it was ever given.
   */
  put(record: WholeImageRecord): Promise<void>
  /** In the order of their first names. */
  list(): Promise<ImageRecord[]>
  /** With its config. @throws DomainError `not_found` when the image is no longer recorded. */
  whole(record: ImageRecord): Promise<WholeImageRecord>
  /** Forgets an image. Absent is success. */
  delete(manifestDigest: Digest): Promise<void>
}

export interface ImageRecord {
  /** Full names, such as `localhost:5000/debian:12`; none when later imports have taken them all over. */
  readonly names: readonly string[]
  readonly manifestDigest: Digest
  readonly configDigest: Digest
  readonly platform: Platform
  /** Base first; the last one's chain is the image. */
  readonly layers: readonly RecordedLayer[]
  readonly importedAt: Date
}

/** A config may have megabytes, and records of all images are in memory: so it is read for the one image that it is needed of. */
export interface WholeImageRecord extends ImageRecord {
  /** The image config, byte for byte. */
  readonly config: string
}

export interface RecordedLayer {
  readonly chainId: ChainId
  readonly diffId: DiffId
  readonly blob: Digest
  /** Bytes of the blob, compressed. */
  readonly size: number
}

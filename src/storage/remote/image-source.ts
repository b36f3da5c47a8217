import type { Readable } from 'node:stream'
import type { Abortable } from '../abortable.ts'
import type { ChainId } from '../chain-id.ts'
import type { Descriptor } from '../descriptor.ts'
import type { DiffId, Digest } from '../digest.ts'
import type { ImageConfig } from '../image-config.ts'
import type { Platform } from '../platform.ts'
import type { ImageName } from '../reference.ts'

/**
 * CONTRACT. Where images come from. A registry elsewhere and one's own store look the same to the importer
 * and to mirroring. Disposing it closes its connections.
 */
export interface ImageSource extends AsyncDisposable {
  /**
   * Follows a name to one platform's image. Manifest and config have been checked against their digests.
   * @throws DomainError `not_found` (no such image, or none for the platform), `invalid` (not a container image),
   * `unauthorized`, `denied`, `unavailable`.
   */
  resolve(image: ImageName, options: ResolveOptions): Promise<ResolvedImage>
  /**
   * The layer's bytes as the registry sends them, **not verified**: whoever reads them checks digest and size.
   * The caller must read or destroy the stream.
   */
  openLayer(image: ImageName, layer: Descriptor, options?: SourceOptions): Promise<Readable>
  /**
   * Asks whether whoever imports `image` may have those layers of it, before what others have imported is used in their
   * place. A source whose images are everybody's asks nothing, or does not have the method.
   * @throws DomainError `not_found` when the image's repository lacks one, and as {@link resolve}.
   */
  confirmLayers?(image: ImageName, layers: readonly Descriptor[], options?: SourceOptions): Promise<void>
}

export interface SourceOptions extends Abortable {
  /**
   * Name of configured credentials; without it those that are configured for the image, if any.
   * @throws DomainError `invalid` for a name that there is not, `denied` for credentials of another registry or repository.
   */
  readonly credentials?: string | undefined
}

export interface ResolveOptions extends SourceOptions {
  readonly platform: Platform
}

export interface ResolvedImage {
  /** As it was asked for. */
  readonly name: ImageName
  /** Name of the credentials that it was asked for with: its layers are, too. */
  readonly credentials?: string | undefined
  /** Of the platform's own manifest, not of an index above it. */
  readonly manifestDigest: Digest
  readonly configDigest: Digest
  readonly config: ImageConfig
  readonly configBytes: Uint8Array
  /** Base first. */
  readonly layers: readonly ResolvedLayer[]
}

export interface ResolvedLayer {
  readonly descriptor: Descriptor
  readonly diffId: DiffId
  readonly chainId: ChainId
}

import { DomainError } from '../errors.ts'
import type { Abortable } from '../storage/abortable.ts'
import type { ImageSource, ResolvedImage, ResolvedLayer } from '../storage/remote/image-source.ts'
import type { KnownDiffIds } from './known-diff-ids.ts'
import { openLayerTar } from './layer/decode/decompress.ts'
import { layerTooLarge } from './layer/layer-errors.ts'
import type { LayerLimits } from './layer/limits.ts'

export interface PresentLayersParts {
  readonly source: ImageSource
  readonly diffIds: KnownDiffIds
  /** Of layers that are looked through. */
  readonly limits: LayerLimits
}

/**
 * The right of one import to layers that are here already, because somebody else's image has them too.
 *
 * Resolving proves the right to a manifest and a config, but these are the importer's own words: who pushes them to a
 * repository of his may name the diff IDs of strangers' layers, and would be handed their content without having it. So
 * where images are not everybody's, the source is asked for each such blob. Against a registry that says what its owner
 * wants, what protects a layer is that its digests are known to those only who may have it.
 *
 * Wherever images are from, the blob has to be one that this host knows to be that layer; one that it does not know is
 * downloaded and looked through. Or a manifest could name a stranger's blobs beside diff IDs of its own, and be published
 * with its own content under the UUID of the stranger's image, which is made of these blobs' digests.
 */
export class PresentLayers {
  readonly #parts: PresentLayersParts
  readonly #image: ResolvedImage
  /** From the base on. */
  #confirmed = 0

  constructor(parts: PresentLayersParts, image: ResolvedImage) {
    this.#parts = parts
    this.#image = image
  }

  /** These were applied by the import itself. @param count from the base on. */
  proven(count: number): void {
    this.#confirmed = Math.max(this.#confirmed, count)
  }

  /**
   * @param count of the layers that are there, from the base on.
   * @throws DomainError `not_found`, `digest_mismatch`, `too_large`, and as the source fails.
   */
  async confirm(count: number, { signal }: Abortable = {}): Promise<void> {
    const { source, diffIds } = this.#parts
    const layers = this.#image.layers.slice(this.#confirmed, count)
    if (layers.length === 0) return
    const { name, credentials } = this.#image
    const descriptors = layers.map(({ descriptor }) => descriptor)
    await source.confirmLayers?.(name, descriptors, { credentials, signal })
    const blobs = descriptors.map(({ digest }) => digest)
    await diffIds.load(blobs, { signal })
    for (const layer of layers) await this.#check(layer, { signal })
    this.proven(count)
  }

  async #check({ descriptor, diffId }: ResolvedLayer, options: Abortable): Promise<void> {
    const { diffIds } = this.#parts
    const known = diffIds.get(descriptor.digest)
    if (known === diffId) return
    if (known !== undefined)
      throw new DomainError(
        'digest_mismatch',
        `The layer ${descriptor.digest} has the diff ID ${known} where ${diffId} was promised.`,
        { resource: 'layer', name: diffId },
      )
    await this.#lookThrough({ descriptor, diffId }, options)
    diffIds.add(descriptor.digest, diffId)
  }

  /** Others may wait for what is imported after this, so a source that is slow on purpose must come to an end. */
  async #lookThrough(
    { descriptor, diffId }: Pick<ResolvedLayer, 'descriptor' | 'diffId'>,
    { signal }: Abortable,
  ): Promise<void> {
    const { source, limits } = this.#parts
    const { name, credentials } = this.#image
    const { mediaType, digest, size } = descriptor
    const { maxSeconds } = limits
    const late = new AbortController()
    const deadline = setTimeout(() => late.abort(), maxSeconds * 1000)
    const both = AbortSignal.any([late.signal, ...(signal === undefined ? [] : [signal])])
    try {
      const blob = await source.openLayer(name, descriptor, { credentials, signal: both })
      // Reading it to its end is the check.
      for await (const _ of openLayerTar(blob, { mediaType, blob: digest, size, diffId }, limits));
    } catch (error) {
      signal?.throwIfAborted()
      if (late.signal.aborted)
        throw layerTooLarge(`it takes longer than ${maxSeconds} seconds, the limit maxSeconds`)
      throw error
    } finally {
      clearTimeout(deadline)
    }
  }
}

import type { Readable } from 'node:stream'
import { applyLayer } from './changeset/apply.ts'
import type { ApplyOptions, LayerReport } from './apply-layer.ts'
import { type LayerPromise, openLayerTar } from './decode/decompress.ts'
import type { LayerProgress } from './layer-engine.ts'

export interface ApplyBlobOptions extends LayerPromise, Omit<ApplyOptions, 'onProgress'> {
  /** Called now and then, with what has been applied so far. */
  readonly onProgress?: ((progress: LayerProgress) => void) | undefined
}

/**
 * Applies a layer as a registry sends it. Success is reported only after blob digest, size and diff ID proved to be
 * as promised; see {@link ApplyLayer} for all else, and {@link openLayerTar} for how the stream fails. `source` is
 * read to its end or destroyed.
 */
export async function applyBlob(
  rootfs: string,
  source: Readable,
  { limits, policy, now, signal, onProgress, ...promise }: ApplyBlobOptions,
): Promise<LayerReport> {
  const tar = openLayerTar(source, promise, limits)
  return await applyLayer(rootfs, tar.stream, {
    limits,
    policy,
    now,
    signal,
    onProgress: report => onProgress?.({ ...report, blobBytes: tar.blobBytes() }),
  })
}

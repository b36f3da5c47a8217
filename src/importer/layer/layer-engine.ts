import type { Readable } from 'node:stream'
import type { Abortable } from '../../storage/abortable.ts'
import type { DirectoryXattrs, LayerReport } from './apply-layer.ts'
import type { LayerPromise } from './decode/decompress.ts'
import type { LayerLimits } from './limits.ts'

/**
 * CONTRACT. Applies layers as registries send them, several at a time, off the thread that calls. Which limits and
 * policy hold, and how many bytes are decompressed ahead, is the engine's configuration.
 */
export interface LayerEngine extends AsyncDisposable {
  /** For whoever reads a layer without applying it. */
  readonly limits: LayerLimits
  /**
   * Takes a layer's blob and begins to verify and to decompress it, as far ahead as the engine's buffers go. From here on
   * the engine owns `source`: it reads it to its end or destroys it.
   *
   * Never throws for what is wrong with the layer or its source: {@link OpenedLayer.applyTo} does.
   */
  open(source: Readable, promise: LayerPromise): OpenedLayer
}

/** Disposing it before it was applied gives it up. */
export interface OpenedLayer extends AsyncDisposable {
  /**
   * Applies the layer to `rootfs`: see `ApplyLayer` for what that does and how it fails. Success is reported only after
   * blob digest, size and diff ID proved to be as promised. May be called once.
   *
   * When it has settled, nothing of ours writes into `rootfs` any more, after an abort too.
   */
  applyTo(rootfs: string, options?: ApplyToOptions): Promise<LayerReport>
}

export interface ApplyToOptions extends Abortable {
  /** As `ApplyOptions.lowerDirectoryXattrs`: what the report of the layer below says. */
  readonly lowerDirectoryXattrs?: DirectoryXattrs | undefined
  /** Called now and then, with what has been applied so far. */
  readonly onProgress?: ((progress: LayerProgress) => void) | undefined
}

export interface LayerProgress extends LayerReport {
  /** Bytes of the blob that have come so far. */
  readonly blobBytes: number
}

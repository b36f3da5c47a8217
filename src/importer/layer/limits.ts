/**
 * How much one layer may ask of this host. Every layer is a stranger's, so everything that it can make us
 * spend has an end.
 */
export interface LayerLimits {
  /** Bytes of the uncompressed tar stream. */
  readonly maxBytes: number
  /** Uncompressed to compressed bytes, checked after the first {@link ratioFloorBytes}: a bomb, not an image. */
  readonly maxRatio: number
  readonly maxEntries: number
  /** Components of a path. */
  readonly maxDepth: number
  /** Bytes of a path: PATH_MAX. */
  readonly maxPathBytes: number
}

/** Highly compressible beginnings (sparse database files, zero padding) are normal; only size makes them an attack. */
export const ratioFloorBytes = 16 * 1024 * 1024

export const defaultLayerLimits: LayerLimits = Object.freeze({
  maxBytes: 64 * 1024 ** 3,
  maxRatio: 200,
  maxEntries: 2_000_000,
  maxDepth: 256,
  maxPathBytes: 4096,
})

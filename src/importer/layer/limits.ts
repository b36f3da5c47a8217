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
  /** Components of a path, as the layer says it and as it really is once symlinks are followed. */
  readonly maxDepth: number
  /** Bytes of a path, likewise: PATH_MAX. */
  readonly maxPathBytes: number
  /** Names and values of one entry's extended attributes together: what Linux lets a single value have. */
  readonly maxXattrBytes: number
  /** FIFOs: each one costs a process, and no image has more than a few. */
  readonly maxFifos: number
  /**
   * Names of one file: what ext4 has, so that an image that one host takes fits the others. As the file system counts
   * them: where snapshots share files by hard link, theirs are counted too.
   */
  readonly maxLinks: number
  /** Seconds that applying one layer may take: a bound for whatever else the limits leave open. */
  readonly maxSeconds: number
}

/** Highly compressible beginnings (sparse database files, zero padding) are normal; only size makes them an attack. */
export const ratioFloorBytes = 16 * 1024 * 1024

export const defaultLayerLimits: LayerLimits = Object.freeze({
  maxBytes: 64 * 1024 ** 3,
  maxRatio: 200,
  maxEntries: 2_000_000,
  maxDepth: 256,
  maxPathBytes: 4096,
  maxXattrBytes: 64 * 1024,
  maxFifos: 10_000,
  maxLinks: 65_000,
  maxSeconds: 3600,
})

/** More than this is nobody's image, and a source may say anything. */
export const copyLimits = Object.freeze({
  /** Manifests of one copy: indexes, children, referrers and theirs. */
  manifests: 10_000,
  /** Blobs that they name, all together. */
  blobs: 100_000,
  /** Indexes in indexes. */
  indexDepth: 8,
  /** Referrers of referrers. */
  referrerDepth: 8,
})

/** Blobs at once, unless given. */
export const defaultConcurrency = 3

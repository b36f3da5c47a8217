/** What one decision looks at, at most. All of it is given by whoever may push. */
export const trustLimits = Object.freeze({
  /** Signatures of a manifest; the newest count. */
  signatures: 32,
  /** Bytes of a signature, and of a manifest that holds some. */
  signatureBytes: 1024 * 1024,
  /** Indexes that a manifest is in; the newest count. */
  parents: 8,
  /** Children of an index that is not signed itself. */
  children: 64,
  /** Indexes in indexes. */
  depth: 3,
  /** Manifests in all. */
  manifests: 100,
})

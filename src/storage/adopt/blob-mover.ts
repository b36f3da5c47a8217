import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'

/** CONTRACT. One way for the bytes of blobs to get from another registry's storage into ours. */
export interface BlobMover {
  /** How it does that with most blobs. */
  readonly way: MovedBlob['how']
  /**
   * Makes the blob exist in the repository, once its bytes are known to be those of the digest. Broken off at any
   * moment it has done all of it or nothing, and what is left of it is found by the sweep of uploads.
   *
   * @throws DomainError `not_found` when the bytes are not there, `digest_mismatch` when they are others, `invalid` or
   * `denied` when they cannot be read.
   */
  move(blob: LegacyBlob, options?: Abortable): Promise<MovedBlob>
}

export interface LegacyBlob {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** The digest that the old registry keeps its bytes under; another one for a sha512. */
  readonly storedAs: Digest
  /** Its bytes were found damaged here: they may be these ones, so nobody's word is taken for them. */
  readonly isSuspect?: boolean | undefined
}

export interface MovedBlob {
  /** Bytes. */
  readonly size: number
  /**
   * `shared`: one more name for the old file, or a copy that takes no space. `used`: the old object itself, which is
   * ours from now on. `copied`: read and written.
   */
  readonly how: 'shared' | 'used' | 'copied'
}

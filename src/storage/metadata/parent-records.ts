import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'

/** CONTRACT. Which indexes a manifest is in. `test/contract/metadata-parents.ts`. */
export interface ParentRecords {
  /**
   * Digests of the indexes of the repository that name `child` among their manifests, newest first, at most `limit`.
   * The child need not exist.
   */
  listParents(
    repository: RepositoryName,
    child: Digest,
    limit: number,
    options?: Abortable,
  ): Promise<Digest[]>
}

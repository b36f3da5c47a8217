import type { Abortable } from '../storage/abortable.ts'
import type { Digest } from '../storage/digest.ts'
import type { BlobRecords } from '../storage/metadata/blob-records.ts'
import type { RepositoryName } from '../storage/reference.ts'

/**
 * A repository that has the blob, and is below `prefix` or one that everybody may see: what it has may be given to what is
 * below the prefix, too. What others have is not, whoever else says that he has it: he may only know its digest.
 */
export async function holderNear(
  records: Pick<BlobRecords, 'repositoriesWithBlob'>,
  digest: Digest,
  prefix: RepositoryName,
  options: Abortable,
): Promise<RepositoryName | undefined> {
  const [within] = await records.repositoriesWithBlob(digest, 1, { ...options, below: prefix })
  if (within !== undefined) return within
  const [open] = await records.repositoriesWithBlob(digest, 1, { ...options, viewer: { account: null } })
  return open
}

import { isDomainError } from '../errors.ts'
import type { Abortable } from '../storage/abortable.ts'
import type { Digest } from '../storage/digest.ts'
import type { BlobRecords } from '../storage/metadata/blob-records.ts'
import { parseRepositoryName, type RepositoryName } from '../storage/reference.ts'
import type { Caller } from './auth/access-controller.ts'
import type { RegistryRequest } from './request.ts'

/** Repositories that are asked about for a mount without `from`. */
const maxCandidates = 20

/**
 * The one place that decides from which repository a blob may be mounted (distribution-spec, "Mounting a blob from
 * another repository"): one that the caller may pull from. Undefined where there is none, which is answered as where
 * nobody has the blob: nothing is looked up in a repository before it is known that the caller may pull from it.
 *
 * @throws DomainError `unavailable`.
 */
export async function mountSourceOf(
  { query, facts: { caller }, signal }: RegistryRequest,
  digest: Digest,
  records: Pick<BlobRecords, 'repositoriesWithBlob'>,
): Promise<RepositoryName | undefined> {
  if (caller === undefined) return undefined
  const from = query.get('from')
  const candidates = from === null ? await candidatesFor(caller, digest, records, { signal }) : namedBy(from)
  for (const name of candidates) {
    const decision = await caller.decide({ kind: 'repository', name, action: 'pull' }, { signal })
    if (decision.isAllowed) return name
  }
  return undefined
}

/** Of tenants that the caller has to do with, so that it makes no difference who else has the blob. */
function candidatesFor(
  { isAdmin, account, tenants }: Caller,
  digest: Digest,
  records: Pick<BlobRecords, 'repositoriesWithBlob'>,
  { signal }: Abortable,
): Promise<RepositoryName[]> {
  const viewer = isAdmin ? undefined : { account, tenants }
  return records.repositoriesWithBlob(digest, maxCandidates, { viewer, signal })
}

/** What is no name is nobody's: clients expect an upload session then, too. */
function namedBy(from: string): RepositoryName[] {
  try {
    return [parseRepositoryName(from)]
  } catch (error) {
    if (isDomainError(error, 'invalid')) return []
    throw error
  }
}

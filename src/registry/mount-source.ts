import { parseRepositoryName, type RepositoryName } from '../storage/reference.ts'
import type { RegistryRequest } from './request.ts'

/** Where the blob of a mount may come from; `name` is undefined when any repository will do. */
export interface MountSource {
  readonly name: RepositoryName | undefined
}

/**
 * The one place that decides which repositories are searched for a blob that a client wants to mount
 * (distribution-spec, "Mounting a blob from another repository"). Without `from` the registry may look anywhere
 * that the caller may pull from; there is no authentication yet, so that is everywhere.
 *
 * @throws DomainError `invalid` for a `from` that is no repository name.
 */
export function mountSourceOf({ query }: RegistryRequest): MountSource {
  const from = query.get('from')
  return { name: from === null ? undefined : parseRepositoryName(from) }
}

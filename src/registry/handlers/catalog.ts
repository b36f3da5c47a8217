import type { RepositoryRecords } from '../../storage/metadata/metadata.ts'
import type { Handler } from '../handler.ts'
import { listPage, parsePage } from '../paging.ts'
import { json } from '../reply.ts'

/** Docker's default for a request without `n`. */
const defaultCatalogSize = 100

/** GET /v2/_catalog: Docker's protocol, not the OCI's, which only reserves the name. */
export function createCatalogHandler(records: Pick<RepositoryRecords, 'listRepositories'>): Handler {
  return async request => {
    const { names, headers } = await listPage(
      '/v2/_catalog',
      parsePage(request.query, defaultCatalogSize),
      (page, options) => records.listRepositories(page, options),
      { signal: request.signal },
    )
    return json(200, { repositories: names }, headers)
  }
}

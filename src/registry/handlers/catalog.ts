import { DomainError } from '../../errors.ts'
import type { Handler } from '../handler.ts'
import { type HiddenPositions, isHidden } from '../hidden-positions.ts'
import { type PageRequest, parsePage } from '../paging.ts'
import { json } from '../reply.ts'
import { type ListedRepositories, visiblePage } from '../visible-repositories.ts'

/** Docker's default for a request without `n`. */
const defaultCatalogSize = 100

/**
 * GET /v2/_catalog: Docker's protocol, not the OCI's, which only reserves the name. Only what the caller may pull; a
 * page may have fewer names than it has room for, and still a Link.
 */
export function createCatalogHandler(records: ListedRepositories, positions: HiddenPositions): Handler {
  return async ({ query, facts: { caller }, signal }) => {
    const page = revealed(parsePage(query, defaultCatalogSize), positions)
    if (caller === undefined || page.size === 0) return json(200, { repositories: [] })
    const { names, next, isNextVisible } = await visiblePage(page, caller, records, { signal })
    if (next === undefined) return json(200, { repositories: names })
    const last = encodeURIComponent(isNextVisible ? next : positions.hide(next))
    return json(
      200,
      { repositories: names },
      { Link: `</v2/_catalog?last=${last}&n=${page.size}>; rel="next"` },
    )
  }
}

/** @throws DomainError `invalid` for a hidden position that no Link of ours had. */
function revealed(page: PageRequest, positions: HiddenPositions): PageRequest {
  const { size, after } = page
  if (after === undefined || !isHidden(after)) return page
  const name = positions.reveal(after)
  if (name !== undefined) return { size, after: name }
  throw new DomainError('invalid', 'The parameter last is no place in the catalog; begin without it.', {
    resource: 'request',
    name: 'last',
  })
}

import type { TagRecords } from '../../storage/metadata/tag-records.ts'
import type { Handler } from '../handler.ts'
import { listPage, parsePage } from '../paging.ts'
import { json } from '../reply.ts'
import { repositoryOf } from '../request.ts'

/** distribution-spec, "Listing Tags". */
export function createListTagsHandler(records: Pick<TagRecords, 'listTags'>): Handler {
  return async request => {
    const repository = repositoryOf(request)
    const { names, headers } = await listPage(
      `/v2/${repository}/tags/list`,
      parsePage(request.query),
      (page, options) => records.listTags(repository, page, options),
      { signal: request.signal },
    )
    return json(200, { name: repository, tags: names }, headers)
  }
}

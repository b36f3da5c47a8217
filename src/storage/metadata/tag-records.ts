import type { Abortable } from '../abortable.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import type { Page } from './page.ts'

/** CONTRACT. What tags name is read and set with manifests. The executable half is `test/contract/metadata.ts`. */
export interface TagRecords {
  /** Tags in byte order. @throws DomainError `not_found` for a repository that does not exist. */
  listTags(repository: RepositoryName, page: Page, options?: Abortable): Promise<Tag[]>
  /** @throws DomainError `not_found`. */
  deleteTag(repository: RepositoryName, tag: Tag, options?: ChangeOptions): Promise<void>
}

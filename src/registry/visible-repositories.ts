import type { Abortable } from '../storage/abortable.ts'
import type { RepositoryRecords } from '../storage/metadata/repository-records.ts'
import type { RepositoryName } from '../storage/reference.ts'
import type { Caller } from './auth/access-controller.ts'
import type { PageRequest } from './paging.ts'

export type ListedRepositories = Pick<RepositoryRecords, 'listRepositories' | 'listRepositoriesOf'>

export interface VisiblePage {
  /** At most as many as the page has room for. */
  readonly names: readonly RepositoryName[]
  /** After which the next page begins; undefined at the end of the list. */
  readonly next: RepositoryName | undefined
  /** Whether the caller may know the name in `next`. */
  readonly isNextVisible: boolean
}

/** Names that one request looks at, for each that it may show. */
const effort = 10
/** Decisions that are asked for at once. */
const width = 16

/**
 * One page of what the caller may pull. Where most names are others' it looks at a limited number and ends the page
 * early.
 */
export async function visiblePage(
  { size, after: given }: PageRequest,
  caller: Caller,
  records: ListedRepositories,
  options: Abortable,
): Promise<VisiblePage> {
  const names: RepositoryName[] = []
  let after: string | undefined = given
  for (let left = effort * (size + 1); left > 0; ) {
    const limit = Math.min(size + 1, left)
    const page = { limit, after }
    const found = await (caller.isAdmin
      ? records.listRepositories(page, options)
      : records.listRepositoriesOf(caller.account, { ...page, tenants: caller.tenants }, options))
    for (const name of await pullable(found, caller, options)) {
      const last = names.at(-1)
      if (names.length === size) return { names, next: last, isNextVisible: true }
      names.push(name)
    }
    const last = found.at(-1)
    if (last === undefined || found.length < limit) break
    left -= found.length
    after = last
    if (left <= 0) return { names, next: last, isNextVisible: names.at(-1) === last }
  }
  return { names, next: undefined, isNextVisible: false }
}

async function pullable(
  names: readonly RepositoryName[],
  caller: Caller,
  options: Abortable,
): Promise<RepositoryName[]> {
  const allowed: RepositoryName[] = []
  for (let start = 0; start < names.length; start += width) {
    const some = names.slice(start, start + width)
    const decisions = await Promise.all(
      some.map(name => caller.decide({ kind: 'repository', name, action: 'pull' }, options)),
    )
    allowed.push(...some.filter((_, index) => decisions[index]?.isAllowed === true))
  }
  return allowed
}

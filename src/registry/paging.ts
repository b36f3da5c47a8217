import { DomainError } from '../errors.ts'
import type { Abortable } from '../storage/abortable.ts'
import type { Page } from '../storage/metadata/page.ts'
import type { Headers } from './reply.ts'

/** A larger `n` is cut to this and the answer has a Link, as the spec allows; refusing it breaks clients. */
export const maxPageSize = 1000

export interface PageRequest {
  readonly size: number
  readonly after?: string | undefined
}

/**
 * distribution-spec, "Listing Tags": `n` and `last`.
 * @throws DomainError `invalid` when `n` is not a number.
 */
export function parsePage(query: URLSearchParams, defaultSize: number = maxPageSize): PageRequest {
  const text = query.get('n')
  if (text !== null && !/^\d+$/.test(text))
    throw new DomainError(
      'invalid',
      `n=${text.slice(0, 32)} is not a size of a page; use a whole number from 0.`,
      { resource: 'request', name: 'n' },
    )
  const size = Math.min(text === null ? defaultSize : Number(text), maxPageSize)
  const last = query.get('last')
  return last === null || last === '' ? { size } : { size, after: last }
}

export interface ListPage<Name extends string> {
  readonly names: readonly Name[]
  /** The Link to the next page, if there is one. */
  readonly headers: Headers
}

/**
 * One page of `list`, which is asked for one name more than is shown, to know whether another page follows.
 * @param path of the endpoint; the Link stays relative, for clients use only its path and query.
 */
export async function listPage<Name extends string>(
  path: string,
  { size, after }: PageRequest,
  list: (page: Page, options: Abortable) => Promise<readonly Name[]>,
  options: Abortable,
): Promise<ListPage<Name>> {
  const found = await list({ limit: size + 1, after }, options)
  const names = found.slice(0, size)
  const last = names.at(-1)
  if (last === undefined || found.length <= size) return { names, headers: {} }
  return { names, headers: { Link: `<${path}?last=${encodeURIComponent(last)}&n=${size}>; rel="next"` } }
}

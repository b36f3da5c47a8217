import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Ask } from './ask.ts'
import { nextLinkIn } from './link.ts'
import type { RegistryClient } from './registry-client.ts'
import type { RegistryDocument } from './registry-transport.ts'

export interface PageLimits {
  readonly pages: number
  /** Of one page. */
  readonly bytes: number
}

/**
 * The pages of a list, each by the link of the one before. A link to another origin is not followed, and a list that
 * leads back to where it was has no end.
 * @throws DomainError as the client does, `unsupported` for such links, `too_large` for more pages than there may be.
 */
export async function* pagesOf(
  client: RegistryClient,
  first: RegistryDocument,
  ask: Ask,
  { pages, bytes }: PageLimits,
  { signal }: Abortable,
): AsyncGenerator<RegistryDocument> {
  const seen = new Set<string>([first.url.href])
  let page = first
  for (let count = 1; ; count += 1) {
    yield page
    const link = nextLinkIn(page.header('link'))
    if (link === undefined) return
    const next = client.resolve(link, page.url)
    if (next === undefined || !client.isOwn(next)) throw wrong(client, ask, 'goes on at another address')
    if (seen.has(next.href)) throw wrong(client, ask, 'leads back to a page that was read')
    if (count >= pages)
      throw new DomainError(
        'too_large',
        `The registry ${client.registry} has more than ${pages} pages of ${String(ask.path)}.`,
        { resource: 'registry', name: client.registry },
      )
    seen.add(next.href)
    const following: Ask = { ...ask, path: next }
    page = await client.ask(following, { limit: bytes, signal })
    if (page.status !== 200) throw client.failure(following, page, page.bytes)
  }
}

function wrong(client: RegistryClient, ask: Ask, what: string): DomainError {
  return new DomainError(
    'unsupported',
    `The list ${String(ask.path)} of the registry ${client.registry} ${what}, which is not followed.`,
    { resource: 'registry', name: client.registry },
  )
}

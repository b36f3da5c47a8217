import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../reference.ts'
import { catalogAccess, pullAccess } from './access.ts'
import type { Ask } from './ask.ts'
import type { AskedRepository } from './blob-reads.ts'
import { parsedObjectIn } from './json-object.ts'
import { pagesOf } from './paging.ts'
import type { RegistryClient } from './registry-client.ts'

/** What registries give at once; some refuse to be asked for more. */
const perPage = 1000
/** A page with so many of the longest names is smaller. */
const limits = { pages: 10_000, bytes: 4 * 1024 * 1024 }
/** Of one list. Whoever reads it may keep them all. */
const maxNames = 1_000_000

/** What is no tag is left out. @throws DomainError `not_found` for a repository that is not there. */
export function remoteTags({ client, repository }: AskedRepository, options: Abortable): AsyncIterable<Tag> {
  const ask: Ask = { access: pullAccess(repository), what: 'tags', path: 'tags/list' }
  return namesIn(client, ask, 'tags', parseTag, options)
}

/** @throws DomainError `unsupported` where there is no catalog, `denied` or `unauthorized` where it is not for us. */
export function remoteCatalog(client: RegistryClient, options: Abortable): AsyncIterable<RepositoryName> {
  const ask: Ask = { access: catalogAccess, what: 'catalog', path: '_catalog' }
  return namesIn(client, ask, 'repositories', parseRepositoryName, options)
}

async function* namesIn<Name>(
  client: RegistryClient,
  ask: Ask,
  member: 'tags' | 'repositories',
  parse: (text: string) => Name,
  { signal }: Abortable,
): AsyncGenerator<Name> {
  const options = { limit: limits.bytes, signal }
  const sized = await client.ask({ ...ask, path: `${String(ask.path)}?n=${perPage}` }, options)
  const first = sized.status === 400 ? await client.ask(ask, options) : sized
  if (ask.what === 'catalog' && (first.status === 404 || first.status === 405)) throw noCatalog(client)
  if (first.status !== 200) throw client.failure(ask, first, first.bytes)
  let count = 0
  for await (const { bytes } of pagesOf(client, first, ask, limits, { signal })) {
    const page = parsedObjectIn(bytes)
    // Taken for an empty list, it would be as if everything had gone.
    if (page === undefined) throw noList(client, String(ask.path))
    const names = page[member]
    for (const name of Array.isArray(names) ? (names as unknown[]) : []) {
      const parsed = typeof name === 'string' ? parsedBy(parse, name) : undefined
      if (parsed === undefined) continue
      count += 1
      if (count > maxNames) throw tooMany(client, member)
      yield parsed
    }
  }
}

function parsedBy<Name>(parse: (text: string) => Name, text: string): Name | undefined {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}

function noList({ registry }: RegistryClient, path: string): DomainError {
  return new DomainError('unsupported', `The registry ${registry} sent no list where ${path} belongs.`, {
    resource: 'registry',
    name: registry,
  })
}

function tooMany({ registry }: RegistryClient, what: string): DomainError {
  return new DomainError('too_large', `The registry ${registry} has more than ${maxNames} ${what} there.`, {
    resource: 'registry',
    name: registry,
  })
}

function noCatalog({ registry }: RegistryClient): DomainError {
  return new DomainError(
    'unsupported',
    `The registry ${registry} has no catalog of its repositories; name them.`,
    { resource: 'registry', name: registry },
  )
}

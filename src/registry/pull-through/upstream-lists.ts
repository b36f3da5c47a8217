import { LRUCache } from 'lru-cache'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { Descriptor } from '../../storage/descriptor.ts'
import type { Digest } from '../../storage/digest.ts'
import type { RepositoryName, Tag } from '../../storage/reference.ts'
import { SharedWork } from './shared-work.ts'
import { flightOf, type UpstreamRepository } from './upstream.ts'

/** Entries of one list. */
const maxEntries = 100_000
/** Of all lists that are remembered, roughly. Characters. */
const maxSize = 32 * 1024 * 1024
/** What the referrers of one subject may take, their annotations included. */
const maxReferrersSize = 8 * 1024 * 1024

/** One list, as upstream had it. */
interface Listed<Item> {
  readonly items: readonly Item[]
  /** Characters, roughly. */
  readonly size: number
}

/** What belongs to an absent repository, remembered as such. */
const absent = 'absent'

/**
 * Lists of upstreams, whole, remembered for as long as a tag is believed: a client reads a list in pages, and each would be
 * the whole list again.
 */
export class UpstreamLists implements AsyncDisposable {
  readonly #tags = new SharedWork<Listed<Tag>>({ maxMs: 60_000, limit: 100 })
  readonly #referrers = new SharedWork<Listed<Descriptor>>({ maxMs: 60_000, limit: 1000 })
  readonly #known = new LRUCache<string, Listed<Tag> | Listed<Descriptor> | typeof absent>({
    maxSize,
    sizeCalculation: listed => (listed === absent ? 64 : listed.size + 64),
  })

  /** In byte order, each once. @throws DomainError `not_found`, and what upstream fails with. */
  async tags(at: UpstreamRepository, options: Abortable): Promise<readonly Tag[]> {
    const { items } = await this.#list(
      at,
      `tags ${at.repository}`,
      this.#tags,
      working => tagsOf(at, working),
      options,
    )
    return items
  }

  /** As upstream gives them. @throws what upstream fails with. */
  async referrers(
    at: UpstreamRepository,
    subject: Digest,
    options: Abortable,
  ): Promise<readonly Descriptor[]> {
    const key = `referrers ${at.repository} ${subject}`
    const { items } = await this.#list(
      at,
      key,
      this.#referrers,
      working => referrersOf(at, subject, working),
      options,
    )
    return items
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tags[Symbol.asyncDispose]()
    await this.#referrers[Symbol.asyncDispose]()
  }

  async #list<Item extends Tag | Descriptor>(
    at: UpstreamRepository,
    key: string,
    work: SharedWork<Listed<Item>>,
    ask: (options: Abortable) => Promise<Listed<Item>>,
    options: Abortable,
  ): Promise<Listed<Item>> {
    const known = this.#known.get(key)
    if (known === absent) throw gone(at.repository)
    // The key says which kind it is.
    if (known !== undefined) return known as unknown as Listed<Item>
    return await work.do(
      key + flightOf(at),
      async working => {
        try {
          const listed = await at.upstream.ask(ask, working)
          this.#note(key, listed as Listed<Tag> | Listed<Descriptor>, at.upstream.settings.tagFreshSeconds)
          return listed
        } catch (error) {
          if (error instanceof DomainError && error.code === 'not_found')
            this.#note(key, absent, at.upstream.settings.absentSeconds)
          throw error
        }
      },
      options,
    )
  }

  #note(key: string, value: Listed<Tag> | Listed<Descriptor> | typeof absent, seconds: number): void {
    if (seconds > 0) this.#known.set(key, value, { ttl: seconds * 1000 })
  }
}

async function tagsOf({ source }: UpstreamRepository, options: Abortable): Promise<Listed<Tag>> {
  const tags = new Set<Tag>()
  let size = 0
  for await (const tag of source.tags(options)) {
    if (tags.has(tag)) continue
    tags.add(tag)
    size += 16 + tag.length
    if (tags.size > maxEntries) throw tooMany(source.label, 'tags')
  }
  return { items: [...tags].sort(), size }
}

async function referrersOf(
  { source }: UpstreamRepository,
  subject: Digest,
  options: Abortable,
): Promise<Listed<Descriptor>> {
  const items: Descriptor[] = []
  let size = 0
  for await (const descriptor of source.referrers(subject, options)) {
    items.push(descriptor)
    size += JSON.stringify(descriptor).length
    if (items.length > maxEntries || size > maxReferrersSize) throw tooMany(source.label, 'referrers')
  }
  return { items, size }
}

function tooMany(label: string, what: string): DomainError {
  return new DomainError('too_large', `${label} has more ${what} than are read.`, {
    resource: 'registry',
    name: label,
  })
}

function gone(repository: RepositoryName): DomainError {
  return new DomainError('not_found', `The repository ${repository} is not at its upstream.`, {
    resource: 'repository',
    name: repository,
  })
}

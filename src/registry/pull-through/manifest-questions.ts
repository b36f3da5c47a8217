import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { algorithmOf, type Digest, digestOf } from '../../storage/digest.ts'
import { parseManifest } from '../../storage/manifest.ts'
import type { ManifestInfo, StoredManifest } from '../../storage/metadata/manifest-records.ts'
import { formatReference, type Reference, type Tag } from '../../storage/reference.ts'
import type { FoundTag, Keeping, ManifestCopies } from './manifest-copies.ts'
import { SharedWork } from './shared-work.ts'
import { tagStateOf } from './tag-state.ts'
import { flightOf, type Upstream, type UpstreamRepository } from './upstream.ts'

export interface ManifestQuestionsOptions {
  readonly copies: ManifestCopies
  /** Told of manifests that have come. */
  readonly onFetched?: ((upstream: Upstream, bytes: number) => void) | undefined
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

/** What has come, and what became of it. */
export interface FetchedManifest {
  readonly manifest: StoredManifest
  /** The tag that it was to be kept under. */
  readonly found: FoundTag | undefined
  readonly keeping: Keeping
}

/** `here`: the tag here is what upstream has. */
export type TagAnswer =
  | { readonly kind: 'here' }
  | { readonly kind: 'elsewhere'; readonly info: ManifestInfo; readonly found: FoundTag }

/** Questions about manifests, each asked once for all who want to know; what comes is checked, and kept where it may be. */
export class ManifestQuestions implements AsyncDisposable {
  readonly #options: ManifestQuestionsOptions
  readonly #copies: ManifestCopies
  readonly #now: () => number
  readonly #heads = new SharedWork<ManifestInfo>({ maxMs: 60_000, limit: 1000 })
  readonly #tags = new SharedWork<TagAnswer>({ maxMs: 90_000, limit: 1000 })
  readonly #gets = new SharedWork<FetchedManifest>({ maxMs: 120_000, limit: 1000 })
  readonly #follows = new SharedWork<StoredManifest | undefined>({ maxMs: 150_000, limit: 1000 })

  constructor(options: ManifestQuestionsOptions) {
    this.#options = options
    this.#copies = options.copies
    this.#now = options.now ?? Date.now
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const work of [this.#follows, this.#tags, this.#gets, this.#heads]) await work[Symbol.asyncDispose]()
  }

  /** Compares the tag with upstream's, by HEAD. */
  check(at: UpstreamRepository, tag: Tag, local: Digest | undefined, options: Abortable): Promise<TagAnswer> {
    const reference = { kind: 'tag', tag } as const
    return this.#tags.do(
      keyOf(at, reference) + flightOf(at),
      async working => {
        // It may have been compared since whoever wants to know has looked.
        if (await this.#isFresh(at, tag, working)) return { kind: 'here' }
        const found: FoundTag = { tag, checkedAt: new Date(this.#now()) }
        const info = await this.head(at, reference, working)
        if (info.digest === local) {
          await this.#copies.note(at.repository, found, info.digest, working)
          return { kind: 'here' }
        }
        const keeping = await this.#copies.retag(at, info.digest, found, working)
        if (await this.#isHere(at, tag, keeping, working)) return { kind: 'here' }
        await this.#copies.note(at.repository, found, info.digest, working)
        return { kind: 'elsewhere', info, found }
      },
      options,
    )
  }

  /** Gets what upstream's tag names, and puts our tag to it. Undefined: what is under the tag here is newer, or protected. */
  follow(
    at: UpstreamRepository,
    digest: Digest,
    found: FoundTag,
    options: Abortable,
  ): Promise<StoredManifest | undefined> {
    return this.#follows.do(
      `${keyOf(at, { kind: 'tag', tag: found.tag })} ${digest}`,
      async working => {
        const keeping = await this.#copies.retag(at, digest, found, working)
        if (await this.#isHere(at, found.tag, keeping, working)) return undefined
        const fetched = await this.#getNamed(at, digest, found, working)
        const isOther =
          fetched.keeping === 'superseded' && (await this.#isHere(at, found.tag, 'superseded', working))
        return isOther ? undefined : fetched.manifest
      },
      options,
    )
  }

  async #isFresh(
    { repository, upstream }: UpstreamRepository,
    tag: Tag,
    options: Abortable,
  ): Promise<boolean> {
    const [noted, local] = await Promise.all([
      this.#copies.noted(repository, tag, options),
      this.#copies.find(repository, { kind: 'tag', tag }, options),
    ])
    return tagStateOf(noted, local?.digest, upstream.settings, this.#now()).kind === 'fresh'
  }

  /** Whether the tag here can answer. */
  async #isHere(
    { repository }: UpstreamRepository,
    tag: Tag,
    keeping: Keeping | undefined,
    options: Abortable,
  ): Promise<boolean> {
    if (keeping !== 'superseded') return keeping === 'kept'
    return (await this.#copies.find(repository, { kind: 'tag', tag }, options)) !== undefined
  }

  /** By digest, so that it is what HEAD has told; by tag when that was taken away in between. */
  async #getNamed(
    at: UpstreamRepository,
    digest: Digest,
    found: FoundTag,
    options: Abortable,
  ): Promise<FetchedManifest> {
    try {
      const fetched = await this.get(at, { kind: 'digest', digest }, found, options)
      if (fetched.found === found) return fetched
      // Somebody else has asked for it, by another name.
      return { ...fetched, found, keeping: await this.#copies.keep(at, fetched.manifest, found, options) }
    } catch (error) {
      if (!isDomainError(error, 'not_found')) throw error
      const later = { tag: found.tag, checkedAt: new Date(this.#now()) }
      return await this.get(at, { kind: 'tag', tag: found.tag }, later, options)
    }
  }

  /** What upstream has, without fetching it. */
  head(at: UpstreamRepository, reference: Reference, options: Abortable): Promise<ManifestInfo> {
    return this.#heads.do(
      keyOf(at, reference) + flightOf(at),
      async working => {
        const info = await at.upstream.ask(asked => at.source.stat(reference, asked), working)
        checkDigest(at, reference, info.digest)
        return info
      },
      options,
    )
  }

  /** Until it is kept, so that nobody can come in between and fetch it again. @param found the tag to keep it under. */
  get(
    at: UpstreamRepository,
    reference: Reference,
    found: FoundTag | undefined,
    options: Abortable,
  ): Promise<FetchedManifest> {
    return this.#gets.do(
      keyOf(at, reference) + flightOf(at),
      async working => {
        // It may have come since whoever wants it has looked.
        const present =
          reference.kind === 'tag' ? undefined : await this.#copies.get(at.repository, reference, working)
        if (present !== undefined) return { manifest: present, found: undefined, keeping: 'kept' }
        const manifest = await at.upstream.ask(asked => at.source.get(reference, asked), working)
        checkDigest(at, reference, manifest.digest)
        checkDigest(
          at,
          { kind: 'digest', digest: manifest.digest },
          digestOf(manifest.bytes, algorithmOf(manifest.digest)),
        )
        parseManifest(manifest.bytes, manifest.mediaType)
        this.#options.onFetched?.(at.upstream, manifest.bytes.length)
        return { manifest, found, keeping: await this.#copies.keep(at, manifest, found, working) }
      },
      options,
    )
  }
}

export function keyOf({ repository }: UpstreamRepository, reference: Reference): string {
  return `${repository} ${formatReference(reference)}`
}

/** @throws DomainError `digest_mismatch`. */
function checkDigest({ source }: UpstreamRepository, reference: Reference, digest: Digest): void {
  if (reference.kind === 'tag' || reference.digest === digest) return
  throw new DomainError(
    'digest_mismatch',
    `${source.label} was asked for ${reference.digest} and sent ${digest}.`,
    { resource: 'manifest', name: reference.digest },
  )
}

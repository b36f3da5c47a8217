import type { Abortable } from '../../storage/abortable.ts'
import type { Digest } from '../../storage/digest.ts'
import type { ManifestInfo, StoredManifest } from '../../storage/metadata/manifest-records.ts'
import type { UpstreamTag } from '../../storage/metadata/upstream-records.ts'
import { formatReference, type Reference, type Tag } from '../../storage/reference.ts'
import { Absences } from './absences.ts'
import type { FoundTag, ManifestCopies } from './manifest-copies.ts'
import { keyOf, ManifestQuestions, type ManifestQuestionsOptions } from './manifest-questions.ts'
import type { Staleness } from './stale.ts'
import { type TagState, tagStateOf } from './tag-state.ts'
import type { UpstreamRepository } from './upstream.ts'
import { absentUpstream, failureKindOf, upstreamAway } from './upstream-failure.ts'

/**
 * Where what was asked for is. `here`: our copy is what upstream has, or the last that is known of it; `fetched`: it has
 * just come; `told`: upstream has it, and nothing more was wanted.
 */
export type FoundManifest =
  | { readonly kind: 'here'; readonly stale?: Staleness | undefined }
  | { readonly kind: 'fetched'; readonly manifest: StoredManifest }
  | { readonly kind: 'told'; readonly manifest: ManifestInfo }

export interface UpstreamManifestsOptions extends ManifestQuestionsOptions {
  /** How long a client that could have our copy waits for upstream. */
  readonly patienceMs?: number | undefined
}

/** The tag here, and what is remembered of it. */
interface KnownTag {
  readonly tag: Tag
  readonly local: ManifestInfo | undefined
  readonly noted: UpstreamTag | undefined
}

const defaultPatienceMs = 5_000
const here: FoundManifest = Object.freeze({ kind: 'here' })

/**
 * Finds manifests of upstreams, asking as little as can be: what has a digest never changes, so what is here is not asked
 * about; a tag is believed for a while, then compared by HEAD; what is not here is fetched once, for all who want it.
 */
export class UpstreamManifests implements AsyncDisposable {
  readonly #copies: ManifestCopies
  readonly #questions: ManifestQuestions
  readonly #absences = new Absences()
  readonly #now: () => number
  readonly #patienceMs: number

  constructor({ patienceMs = defaultPatienceMs, ...options }: UpstreamManifestsOptions) {
    this.#copies = options.copies
    this.#questions = new ManifestQuestions(options)
    this.#now = options.now ?? Date.now
    this.#patienceMs = patienceMs
  }

  /**
   * @param want `info` for HEAD, which must not fetch anything: that would count as a pull.
   * @throws DomainError `not_found`, `throttled`, `unavailable`.
   */
  async find(
    at: UpstreamRepository,
    reference: Reference,
    want: 'bytes' | 'info',
    options: Abortable,
  ): Promise<FoundManifest> {
    return reference.kind === 'digest'
      ? await this.#byDigest(at, reference.digest, want, options)
      : await this.#byTag(at, reference.tag, want, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#questions[Symbol.asyncDispose]()
  }

  async #byDigest(
    at: UpstreamRepository,
    digest: Digest,
    want: 'bytes' | 'info',
    options: Abortable,
  ): Promise<FoundManifest> {
    const reference = { kind: 'digest', digest } as const
    if ((await this.#copies.find(at.repository, reference, options)) !== undefined) return here
    const key = keyOf(at, reference)
    if (this.#absences.has(key)) throw absentUpstream(at, 'manifest', `The manifest ${digest}`)
    try {
      if (want === 'info')
        return { kind: 'told', manifest: await this.#questions.head(at, reference, options) }
      const { manifest } = await this.#questions.get(at, reference, undefined, options)
      return { kind: 'fetched', manifest }
    } catch (error) {
      throw this.#failure(at, reference, error)
    }
  }

  async #byTag(
    at: UpstreamRepository,
    tag: Tag,
    want: 'bytes' | 'info',
    options: Abortable,
  ): Promise<FoundManifest> {
    const known = await this.#known(at, tag, options)
    if (this.#absences.has(keyOf(at, { kind: 'tag', tag }))) return this.#absent(at, known)
    const { noted, local } = known
    const state = tagStateOf(noted, local?.digest, at.upstream.settings, this.#now())
    if (state.kind === 'fresh') return here
    if (state.kind === 'absent') return this.#absent(at, known)
    try {
      const asking = this.#ask(at, known, state, want, options)
      const found = local === undefined ? await asking : await inTime(asking, this.#patienceMs)
      return found ?? { kind: 'here', stale: stalenessOf(known) }
    } catch (error) {
      return await this.#afterFailure(at, known, error, options)
    }
  }

  /**
   * The tag here. Where a client has asked HEAD by tag and then GET by digest, what upstream's tag names is here without it,
   * so it is put there now.
   */
  async #known(at: UpstreamRepository, tag: Tag, options: Abortable): Promise<KnownTag> {
    const { repository } = at
    const reference = { kind: 'tag', tag } as const
    const [noted, local] = await Promise.all([
      this.#copies.noted(repository, tag, options),
      this.#copies.find(repository, reference, options),
    ])
    if (noted === undefined || noted.digest === null || noted.digest === local?.digest)
      return { tag, noted, local }
    const found = { tag, checkedAt: noted.checkedAt }
    const keeping = await this.#copies.retag(at, noted.digest, found, options)
    if (keeping !== 'kept') return { tag, noted, local }
    return { tag, noted, local: await this.#copies.find(repository, reference, options) }
  }

  async #ask(
    at: UpstreamRepository,
    { tag, local, noted }: KnownTag,
    state: TagState,
    want: 'bytes' | 'info',
    options: Abortable,
  ): Promise<FoundManifest> {
    if (state.kind === 'known' && noted !== undefined && want === 'bytes')
      return await this.#follow(at, state.digest, { tag, checkedAt: noted.checkedAt }, options)
    const answer = await this.#questions.check(at, tag, local?.digest, options)
    if (answer.kind === 'here') return here
    const { info, found } = answer
    return want === 'info'
      ? { kind: 'told', manifest: info }
      : await this.#follow(at, info.digest, found, options)
  }

  async #follow(
    at: UpstreamRepository,
    digest: Digest,
    found: FoundTag,
    options: Abortable,
  ): Promise<FoundManifest> {
    const manifest = await this.#questions.follow(at, digest, found, options)
    return manifest === undefined ? here : { kind: 'fetched', manifest }
  }

  /** @throws DomainError `not_found`, unless our last copy counts nevertheless. */
  #absent(at: UpstreamRepository, known: KnownTag): FoundManifest {
    if (at.upstream.settings.keepAbsent && known.local !== undefined)
      return { kind: 'here', stale: stalenessOf(known) }
    throw absentUpstream(at, 'manifest', `The manifest ${known.tag}`)
  }

  async #afterFailure(
    at: UpstreamRepository,
    known: KnownTag,
    error: unknown,
    options: Abortable,
  ): Promise<FoundManifest> {
    const { tag, local, noted } = known
    const kind = options.signal?.aborted === true ? undefined : failureKindOf(error)
    const failure = this.#failure(at, { kind: 'tag', tag }, error)
    if (kind === undefined) throw failure
    if (kind === 'away') {
      if (local === undefined) throw failure
      return { kind: 'here', stale: stalenessOf(known) }
    }
    // For other processes; of what was never here, nothing is written down.
    if (local !== undefined || noted !== undefined)
      await this.#copies.note(at.repository, { tag, checkedAt: new Date(this.#now()) }, null, options)
    if (at.upstream.settings.keepAbsent && local !== undefined)
      return { kind: 'here', stale: stalenessOf(known) }
    // Wrong credentials of ours make it so as well, and they will be put right.
    if (kind === 'absent' && local !== undefined) await this.#copies.forget(at.repository, tag, options)
    throw failure
  }

  /** As clients are told, and remembered for as long as it counts. */
  #failure(at: UpstreamRepository, reference: Reference, error: unknown): unknown {
    const kind = failureKindOf(error)
    if (kind === undefined) return error
    if (kind === 'away') return upstreamAway(at, error)
    this.#absences.note(keyOf(at, reference), at.upstream.settings.absentSeconds)
    return absentUpstream(at, 'manifest', `The manifest ${formatReference(reference)}`, error)
  }
}

/** When our copy was last what upstream has. Nobody knows when it has found something else, or nothing, since. */
function stalenessOf({ noted, local }: KnownTag): Staleness {
  return { checkedAt: noted?.digest === local?.digest ? noted?.checkedAt : undefined }
}

/** Undefined when it takes longer; it goes on. */
async function inTime<Value>(promise: Promise<Value>, ms: number): Promise<Value | undefined> {
  const late = Promise.withResolvers<undefined>()
  const timer = setTimeout(late.resolve, ms, undefined)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
    // When it fails later, nobody waits for it any more.
    promise.catch(() => {})
  }
}

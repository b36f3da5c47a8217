import { isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { Digest } from '../../storage/digest.ts'
import { artifactTypeOf, edgesOf, parseManifest } from '../../storage/manifest.ts'
import type {
  ManifestInfo,
  ManifestRecords,
  StoredManifest,
} from '../../storage/metadata/manifest-records.ts'
import type { UpstreamRecords } from '../../storage/metadata/upstream-records.ts'
import type { TagRecords } from '../../storage/metadata/tag-records.ts'
import type { Reference, RepositoryName, Tag } from '../../storage/reference.ts'
import { pullThroughRequester } from './requester.ts'
import type { UpstreamRepository } from './upstream.ts'

export type CopyRecords = Pick<ManifestRecords, 'getManifest' | 'statManifest' | 'putManifest'> &
  Pick<TagRecords, 'deleteTag'> &
  Pick<UpstreamRecords, 'findUpstreamTag' | 'noteUpstreamTag'>

/** A tag of upstream, as it was found. */
export interface FoundTag {
  readonly tag: Tag
  readonly checkedAt: Date
}

/**
 * `kept`: the repository has it, under its tag. `superseded`: what is under the tag here stays, because upstream was asked
 * again later, or because a rule protects the tag. `refused`: nothing is kept, by the upstream's settings or by a quota.
 */
export type Keeping = 'kept' | 'superseded' | 'refused'

/** No question takes so long: what was noted so much later comes from a clock that was wrong. */
const maxQuestionMs = 10 * 60_000

/** Our copies of upstreams' manifests and tags. */
export class ManifestCopies {
  readonly #records: CopyRecords
  readonly #log: Logger

  constructor(records: CopyRecords, log: Logger) {
    this.#records = records
    this.#log = log
  }

  /** Undefined where it is not here. */
  async find(
    repository: RepositoryName,
    reference: Reference,
    options: Abortable,
  ): Promise<ManifestInfo | undefined> {
    return await ifFound(this.#records.statManifest(repository, reference, options))
  }

  /** As {@link find}, with its bytes. */
  async get(
    repository: RepositoryName,
    reference: Reference,
    options: Abortable,
  ): Promise<StoredManifest | undefined> {
    return await ifFound(this.#records.getManifest(repository, reference, options))
  }

  /** @param found the tag that names it upstream. */
  async keep(
    { upstream, repository }: UpstreamRepository,
    manifest: StoredManifest,
    found: FoundTag | undefined,
    options: Abortable,
  ): Promise<Keeping> {
    if (!upstream.settings.store) return 'refused'
    const { digest } = manifest
    if (found !== undefined && (await this.#isOutdated(repository, found, digest, options)))
      return 'superseded'
    try {
      await this.#put(repository, manifest, found === undefined ? [] : [found.tag], options)
    } catch (error) {
      if (!isDomainError(error, 'denied', 'conflict')) throw error
      this.#log.warn({ repository, digest, reason: error.message }, 'copy of a manifest not kept')
      return error.code === 'conflict' ? 'superseded' : 'refused'
    }
    if (found !== undefined) await this.note(repository, found, digest, options)
    return 'kept'
  }

  /** Puts the tag to a manifest that is here already. Undefined where it is not here. */
  async retag(
    at: UpstreamRepository,
    digest: Digest,
    found: FoundTag,
    options: Abortable,
  ): Promise<Keeping | undefined> {
    const reference = { kind: 'digest', digest } as const
    const manifest = await this.get(at.repository, reference, options)
    return manifest && (await this.keep(at, manifest, found, options))
  }

  /** Unless somebody has asked upstream later. @param digest null: upstream does not have it. */
  async note(
    repository: RepositoryName,
    { tag, checkedAt }: FoundTag,
    digest: Digest | null,
    options: Abortable,
  ): Promise<void> {
    if (await this.#isOutdated(repository, { tag, checkedAt }, digest, options)) return
    await this.#records.noteUpstreamTag(repository, tag, { checkedAt, digest }, options)
  }

  noted(
    repository: RepositoryName,
    tag: Tag,
    options: Abortable,
  ): ReturnType<UpstreamRecords['findUpstreamTag']> {
    return this.#records.findUpstreamTag(repository, tag, options)
  }

  /** Upstream does not have the tag any more. */
  async forget(repository: RepositoryName, tag: Tag, options: Abortable): Promise<void> {
    try {
      await this.#records.deleteTag(repository, tag, { ...options, by: pullThroughRequester })
    } catch (error) {
      if (!isDomainError(error, 'not_found', 'conflict')) throw error
    }
  }

  /** Whether somebody has asked upstream later and found something else: the last question counts. */
  async #isOutdated(
    repository: RepositoryName,
    { tag, checkedAt }: FoundTag,
    digest: Digest | null,
    options: Abortable,
  ): Promise<boolean> {
    const noted = await this.noted(repository, tag, options)
    if (noted === undefined || noted.digest === digest) return false
    const laterMs = noted.checkedAt.getTime() - checkedAt.getTime()
    return laterMs > 0 && laterMs < maxQuestionMs
  }

  async #put(
    repository: RepositoryName,
    { digest, mediaType, size, bytes }: StoredManifest,
    tags: readonly Tag[],
    options: Abortable,
  ): Promise<void> {
    const manifest = parseManifest(bytes, mediaType)
    await this.#records.putManifest(
      repository,
      {
        digest,
        mediaType,
        size,
        bytes,
        // What it names comes when somebody asks for it.
        edges: edgesOf(manifest, 'none'),
        artifactType: artifactTypeOf(manifest),
        annotations: manifest.annotations,
        tags,
      },
      { ...options, by: pullThroughRequester },
    )
  }
}

async function ifFound<Found>(promise: Promise<Found>): Promise<Found | undefined> {
  try {
    return await promise
  } catch (error) {
    if (isDomainError(error, 'not_found')) return undefined
    throw error
  }
}

import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { BlobStore, RepositoryBlobs } from '../../storage/blobs/blob-store.ts'
import type { Descriptor } from '../../storage/descriptor.ts'
import type { Digest } from '../../storage/digest.ts'
import { isManifestMediaType } from '../../storage/media-types.ts'
import type {
  ManifestInfo,
  Referrer,
  ReferrerList,
  ReferrerPage,
  StoredManifest,
} from '../../storage/metadata/manifest-records.ts'
import type { Reference, RepositoryName } from '../../storage/reference.ts'
import type { TrustRecords } from '../trust/trust-judge.ts'
import type { UpstreamRepository, Upstreams } from './upstream.ts'
import { failureKindOf, upstreamAway } from './upstream-failure.ts'
import type { UpstreamLists } from './upstream-lists.ts'
import type { UpstreamManifests } from './upstream-manifests.ts'

export interface UpstreamSignaturesOptions {
  readonly upstreams: Upstreams
  readonly manifests: Pick<UpstreamManifests, 'find'>
  readonly lists: Pick<UpstreamLists, 'referrers'>
  readonly records: TrustRecords
  readonly blobs: BlobStore
}

/**
 * What trust policies look at, with the signatures that upstreams have: of a copy, nobody has asked for those yet. What
 * cannot be asked for now is `unavailable`, and then nothing is trusted because of it.
 */
export class UpstreamSignatures implements TrustRecords {
  readonly #options: UpstreamSignaturesOptions

  constructor(options: UpstreamSignaturesOptions) {
    this.#options = options
  }

  /** Blobs of signatures, which are read seldom and are not kept. They are not verified: whoever reads them does that. */
  get blobs(): BlobStore {
    const { blobs, upstreams } = this.#options
    return {
      repository: name => {
        const own = blobs.repository(name)
        const at = upstreams.of(name)
        return at === undefined ? own : withUpstream(own, at)
      },
    }
  }

  async getManifest(
    repository: RepositoryName,
    reference: Reference,
    options: Abortable = {},
  ): Promise<StoredManifest> {
    const { manifests, upstreams, records } = this.#options
    const at = upstreams.of(repository)
    const found = at && (await manifests.find(at, reference, 'bytes', options))
    if (found?.kind === 'fetched') return found.manifest
    return await records.getManifest(repository, reference, options)
  }

  async statManifest(
    repository: RepositoryName,
    reference: Reference,
    options: Abortable = {},
  ): Promise<ManifestInfo> {
    const { manifests, upstreams, records } = this.#options
    const at = upstreams.of(repository)
    const found = at && (await manifests.find(at, reference, 'info', options))
    if (found !== undefined && found.kind !== 'here') return found.manifest
    return await records.statManifest(repository, reference, options)
  }

  async listReferrers(
    repository: RepositoryName,
    subject: Digest,
    page: ReferrerPage,
    options: Abortable = {},
  ): Promise<ReferrerList> {
    const { lists, upstreams, records } = this.#options
    const at = upstreams.of(repository)
    if (at === undefined) return await records.listReferrers(repository, subject, page, options)
    try {
      const all = await lists.referrers(at, subject, options)
      return { referrers: all.flatMap(each => referrerOf(each, page.artifactTypes)) }
    } catch (error) {
      if (failureKindOf(error) === undefined) throw error
      return await records.listReferrers(repository, subject, page, options)
    }
  }

  listParents(
    repository: RepositoryName,
    child: Digest,
    limit: number,
    options?: Abortable,
  ): Promise<Digest[]> {
    return this.#options.records.listParents(repository, child, limit, options)
  }
}

function referrerOf({ mediaType, ...rest }: Descriptor, types: readonly string[]): Referrer[] {
  const isWanted = types.length === 0 || types.includes(rest.artifactType ?? '')
  return isWanted && isManifestMediaType(mediaType) ? [{ ...rest, mediaType }] : []
}

function withUpstream(own: RepositoryBlobs, at: UpstreamRepository): RepositoryBlobs {
  const elsewhere = async <Found>(found: Promise<Found>, ask: () => Promise<Found>): Promise<Found> => {
    try {
      return await found
    } catch (error) {
      if (!isDomainError(error, 'not_found')) throw error
    }
    try {
      return await ask()
    } catch (error) {
      throw failureKindOf(error) === 'away' ? upstreamAway(at, error) : absent(error)
    }
  }
  return {
    stat: (digest, options) =>
      elsewhere(own.stat(digest, options), () =>
        at.upstream.ask(asked => at.source.statBlob(digest, asked), options),
      ),
    open: (digest, options) =>
      elsewhere(own.open(digest, options), () =>
        at.upstream.ask(asked => at.source.openBlob(digest, { ...options, ...asked }), options),
      ),
    presign: (...args) => own.presign(...args),
    create: (...args) => own.create(...args),
    resume: (...args) => own.resume(...args),
    status: (...args) => own.status(...args),
    link: (...args) => own.link(...args),
  }
}

/** What upstream does not give us is not there. */
function absent(error: unknown): unknown {
  if (!isDomainError(error, 'unauthorized', 'denied')) return error
  return new DomainError('not_found', error.message, { resource: 'blob' }, { cause: error })
}

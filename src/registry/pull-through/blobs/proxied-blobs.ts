import type { Handler } from '../../handler.ts'
import type { Reply } from '../../reply.ts'
import type { RegistryRequest } from '../../request.ts'
import type { Upstream, UpstreamRepository } from '../upstream.ts'
import type { BlobFetchParts } from './blob-fetch-parts.ts'
import { FetchedBlobs } from './fetched-blobs.ts'
import { type BlobFetchSettings, defaultBlobFetchSettings } from './settings.ts'

/**
 * Blobs of upstreams, for whoever pulls. What is here is answered by the ordinary handler. What is not is fetched once,
 * however many ask for it, and all who ask read it while it comes; it is kept when upstream has sent what the digest
 * promises. Disposing breaks off what is under way; what has come is stored, and whoever fetches it next goes on there.
 */
export interface ProxiedBlobs extends AsyncDisposable {
  /**
   * Answers `blob.get`.
   * @param ordinary answers for blobs that are linked in the repository.
   * @throws DomainError `not_found` of the blob, also where upstream does not let us have it; `throttled` and
   * `unavailable`, with `retryAfterSeconds` where it is known.
   */
  get(request: RegistryRequest, at: UpstreamRepository, ordinary: Handler): Promise<Reply>
  /** Answers `blob.head`: of what is not here as upstream does, and nothing is fetched. @throws as {@link get}. */
  head(request: RegistryRequest, at: UpstreamRepository, ordinary: Handler): Promise<Reply>
}

/**
 * How a request for a blob was answered: it was here (`hit`), by fetching it (`fetched`), by reading along what somebody
 * else has asked for (`joined`), by linking what another repository has (`linked`), or from upstream without keeping it
 * (`passed`).
 */
export type BlobAnswer = 'hit' | 'fetched' | 'joined' | 'linked' | 'passed'

export interface ProxiedBlobObserver {
  answered?(upstream: Upstream, answer: BlobAnswer): void
  /** A fetch has ended. @param bytes that came from upstream. */
  fetched?(upstream: Upstream, outcome: 'kept' | 'not_kept' | 'failed', bytes: number): void
}

/** The stores and the spool are the caller's; what is not given of the settings is as {@link defaultBlobFetchSettings}. */
export interface ProxiedBlobsOptions extends Omit<BlobFetchParts, 'settings'> {
  readonly settings?: Partial<BlobFetchSettings> | undefined
}

export function createProxiedBlobs({ settings, ...parts }: ProxiedBlobsOptions): ProxiedBlobs {
  return new FetchedBlobs({ ...parts, settings: { ...defaultBlobFetchSettings, ...settings } })
}

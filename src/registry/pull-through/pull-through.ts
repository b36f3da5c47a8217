import { DomainError, isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { Handler, HandlerLayer } from '../handler.ts'
import { manifestHeadReply, manifestReply, wantedOf } from '../handlers/manifests.ts'
import type { Reply } from '../reply.ts'
import { digestParamOf, type RegistryRequest, repositoryOf } from '../request.ts'
import { type HopId, hopsIn } from '../../storage/remote/hops.ts'
import type { BlobStore } from '../../storage/blobs/blob-store.ts'
import type { TrustRecords } from '../trust/trust-judge.ts'
import { UpstreamSignatures } from './upstream-signatures.ts'
import type { ProxiedBlobs } from './blobs/proxied-blobs.ts'
import { referrersReply, tagsReply } from './list-replies.ts'
import { type CopyRecords, ManifestCopies } from './manifest-copies.ts'
import { loopAsTold, refuseLoop } from './loops.ts'
import { markStale } from './stale.ts'
import type { Upstream, UpstreamRepository, Upstreams } from './upstream.ts'
import { failureKindOf, isLoop, upstreamAway } from './upstream-failure.ts'
import { UpstreamLists } from './upstream-lists.ts'
import { UpstreamManifests, type UpstreamManifestsOptions } from './upstream-manifests.ts'

/** Told what pull-through does, for metrics. */
export interface PullThroughObserver {
  /** A GET was answered: from what was here (`hit`), or after asking upstream for it. */
  manifest?(upstream: Upstream, answer: 'hit' | 'miss'): void
  /** Bytes of manifests that came from upstream. */
  fetched?(upstream: Upstream, bytes: number): void
  /** Bytes that an answer promises to a client. */
  sent?(upstream: Upstream, kind: 'manifest' | 'blob', bytes: number): void
  /** Our last copy was served, because upstream could not be asked. */
  stale?(upstream: Upstream): void
}

export interface PullThroughOptions extends Pick<UpstreamManifestsOptions, 'now' | 'patienceMs'> {
  readonly upstreams: Upstreams
  /** What this registry is called where its questions are passed on. */
  readonly self?: HopId | undefined
  readonly records: CopyRecords
  /** Disposed by whoever made it. */
  readonly blobs: Pick<ProxiedBlobs, 'get' | 'head'>
  readonly log: Logger
  readonly observer?: PullThroughObserver | undefined
}

/** What would put something else than upstream's content below an upstream's prefix. */
const pushes: ReadonlySet<string> = new Set([
  'upload.start',
  'upload.status',
  'upload.append',
  'upload.finish',
  'manifest.put',
])

/**
 * Answers for repositories that are copies of other registries'. It stands next to the handlers, which answer all that is
 * here already: whoever comes here may pull the repository, and whatever is answered passes the trust policies.
 */
export class PullThrough implements HandlerLayer, AsyncDisposable {
  readonly #options: PullThroughOptions
  readonly #manifests: UpstreamManifests
  readonly #lists = new UpstreamLists()
  readonly #now: () => number

  constructor(options: PullThroughOptions) {
    const { records, log, observer, now = Date.now, patienceMs } = options
    this.#options = options
    this.#now = now
    this.#manifests = new UpstreamManifests({
      copies: new ManifestCopies(records, log),
      onFetched: (upstream, bytes) => observer?.fetched?.(upstream, bytes),
      now,
      patienceMs,
    })
  }

  around(operation: string, handler: Handler): Handler {
    const answer = this.#answerOf(operation)
    if (answer === undefined) return handler
    return async request => {
      const { upstreams, self } = this.#options
      const at = upstreams.of(repositoryOf(request), hopsIn(request.headers['via']))
      if (at === undefined) return await handler(request)
      try {
        refuseLoop(at, self)
        return await answer(request, at, handler)
      } catch (error) {
        throw loopAsTold(error, at)
      }
    }
  }

  /** What trust policies look at: with the signatures that upstreams have. */
  signatures(records: TrustRecords, blobs: BlobStore): UpstreamSignatures {
    const { upstreams } = this.#options
    return new UpstreamSignatures({
      upstreams,
      manifests: this.#manifests,
      lists: this.#lists,
      records,
      blobs,
    })
  }

  /** Breaks off what is being asked. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#manifests[Symbol.asyncDispose]()
    await this.#lists[Symbol.asyncDispose]()
  }

  #answerOf(operation: string): Answer | undefined {
    const { blobs, observer } = this.#options
    if (pushes.has(operation)) return (_request, at) => Promise.reject(refusedPush(at))
    switch (operation) {
      case 'manifest.get':
        return (request, at, ordinary) => this.#getManifest(request, at, ordinary)
      case 'manifest.head':
        return (request, at, ordinary) => this.#headManifest(request, at, ordinary)
      case 'tags.list':
        return (request, at, ordinary) => this.#listTags(request, at, ordinary)
      case 'referrers':
        return (request, at, ordinary) => this.#listReferrers(request, at, ordinary)
      case 'blob.get':
        return async (request, at, ordinary) => {
          const reply = await blobs.get(request, at, ordinary)
          observer?.sent?.(at.upstream, 'blob', sizeOf(reply))
          return reply
        }
      case 'blob.head':
        return (request, at, ordinary) => blobs.head(request, at, ordinary)
      default:
        return undefined
    }
  }

  async #getManifest(request: RegistryRequest, at: UpstreamRepository, ordinary: Handler): Promise<Reply> {
    const { observer } = this.#options
    const found = await this.#manifests.find(at, wantedOf(request), 'bytes', { signal: request.signal })
    observer?.manifest?.(at.upstream, found.kind === 'here' ? 'hit' : 'miss')
    const reply = found.kind === 'fetched' ? manifestReply(request, found.manifest) : await ordinary(request)
    if (reply.status === 200) observer?.sent?.(at.upstream, 'manifest', sizeOf(reply))
    return found.kind === 'here' && found.stale !== undefined ? this.#stale(reply, at, found.stale) : reply
  }

  async #headManifest(request: RegistryRequest, at: UpstreamRepository, ordinary: Handler): Promise<Reply> {
    const found = await this.#manifests.find(at, wantedOf(request), 'info', { signal: request.signal })
    if (found.kind !== 'here') return manifestHeadReply(request, found.manifest)
    const reply = await ordinary(request)
    return found.stale === undefined ? reply : this.#stale(reply, at, found.stale)
  }

  async #listTags(request: RegistryRequest, at: UpstreamRepository, ordinary: Handler): Promise<Reply> {
    try {
      return await tagsReply(request, await this.#lists.tags(at, request))
    } catch (error) {
      return await this.#lastKnown(request, at, ordinary, error)
    }
  }

  async #listReferrers(request: RegistryRequest, at: UpstreamRepository, ordinary: Handler): Promise<Reply> {
    const subject = digestParamOf(request)
    try {
      return referrersReply(request, await this.#lists.referrers(at, subject, request))
    } catch (error) {
      return await this.#lastKnown(request, at, ordinary, error)
    }
  }

  /** What is here of a list that upstream does not give now. */
  async #lastKnown(
    request: RegistryRequest,
    at: UpstreamRepository,
    ordinary: Handler,
    error: unknown,
  ): Promise<Reply> {
    const kind = request.signal.aborted || isOfRequest(error) ? undefined : failureKindOf(error)
    if (kind === undefined) throw error
    // An empty list of ours would be taken for upstream's all the way round.
    if (isLoop(error)) throw upstreamAway(at, error)
    if (kind !== 'away' && !at.upstream.settings.keepAbsent) throw missing(at, error)
    const failure = kind === 'away' ? upstreamAway(at, error) : missing(at, error)
    try {
      return this.#stale(await ordinary(request), at, { checkedAt: undefined })
    } catch (inner) {
      throw isDomainError(inner, 'not_found') ? failure : inner
    }
  }

  #stale(reply: Reply, { upstream }: UpstreamRepository, staleness: Parameters<typeof markStale>[1]): Reply {
    this.#options.observer?.stale?.(upstream)
    return markStale(reply, staleness, this.#now())
  }
}

type Answer = (request: RegistryRequest, at: UpstreamRepository, ordinary: Handler) => Promise<Reply>

function sizeOf({ status, content }: Reply): number {
  if (content === undefined || (status !== 200 && status !== 206)) return 0
  return 'bytes' in content ? content.bytes.length : (content.length ?? 0)
}

/** A page or a position that makes no sense: the client's own mistake. */
function isOfRequest(error: unknown): boolean {
  return isDomainError(error, 'invalid') && error.details.resource === 'request'
}

function refusedPush({ upstream, repository }: UpstreamRepository): DomainError {
  return new DomainError(
    'denied',
    `${repository} is a copy of ${upstream.name}, so nothing can be pushed there; push to a name that does not begin with ${upstream.prefix}/.`,
    { resource: 'repository', name: repository, rule: `upstream ${upstream.name}` },
  )
}

function missing({ upstream, repository }: UpstreamRepository, cause: unknown): DomainError {
  return new DomainError(
    'not_found',
    `The repository ${repository} is not at ${upstream.name}.`,
    { resource: 'repository', name: repository },
    { cause },
  )
}

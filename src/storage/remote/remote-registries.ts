import type { Abortable } from '../abortable.ts'
import type { ImageRegistry, WritableRepository } from '../images/image-repository.ts'
import type { RepositoryName } from '../reference.ts'
import type { HopId } from './hops.ts'

/** CONTRACT. Registries elsewhere, over connections that all share. Disposing it closes them. */
export interface RemoteRegistries extends AsyncDisposable {
  /**
   * As one user, or as nobody; asks nothing yet.
   * @param registry `host[:port]`, as image names have it.
   * @throws DomainError `invalid` for what is no registry, or credentials that there are not, `denied` for some of another registry.
   */
  open(registry: string, options?: RemoteOptions): RemoteRegistry
}

export interface RemoteRegistry extends ImageRegistry<WritableRepository> {
  /** @param passed where what is asked for is somebody else's question. */
  repository(name: RepositoryName, passed?: PassedOn): WritableRepository
  /** What the registry last said of how much may still be pulled (Docker Hub's `ratelimit-…`); undefined until it does. */
  readonly pullQuota: PullQuota | undefined
  /** Until when it has asked us to leave it alone (`Retry-After` with 429 or 503); undefined when it has not, or that is over. */
  readonly comeBackAt: Date | undefined
  /** Whether it answers at all: `GET /v2/`. @throws DomainError `unavailable`, `unauthorized`, `throttled`. */
  ping(options?: Abortable): Promise<void>
}

export interface PassedOn {
  /** Registries that have passed it on, this one the last: each is told, so that one that has been asked already can see it. */
  readonly hops: readonly HopId[]
}

export interface RemoteOptions {
  /** Name of configured credentials; undefined: those that fit a repository, if any; null: nobody's. */
  readonly credentials?: string | null | undefined
  /** Told of each request, for counts and metrics. */
  readonly traffic?: TrafficObserver | undefined
  readonly limits?: TrafficLimits | undefined
  readonly retries?: RemoteRetries | undefined
}

/** What one user of a registry holds back from, across all repositories that were opened together. */
export interface TrafficLimits {
  readonly requestsPerSecond?: number | undefined
  /** Of blobs, both ways together. */
  readonly bytesPerSecond?: number | undefined
  /** Requests at once, bodies included. */
  readonly concurrency?: number | undefined
}

/**
 * What is tried again by itself: answers 408, 429, 502, 503, 504 and broken connections, for requests that may be sent
 * twice, with growing pauses and as long as `Retry-After` says. What would take longer than `maxWaitMs` is told at once:
 * DomainError `throttled` for 429, else `unavailable`, with `retryAfterSeconds` where it is known.
 */
export interface RemoteRetries {
  /** Tries in all. */
  readonly attempts: number
  readonly maxWaitMs: number
}

export interface PullQuota {
  /** Manifests in the window; `limit` is undefined where only what remains is told. */
  readonly limit: number | undefined
  readonly remaining: number
  readonly windowSeconds: number | undefined
  /** When it was told. */
  readonly at: Date
}

/** One request, when its headers have come (or it has failed, status 0), and what its bodies took afterwards. */
export interface TrafficObserver {
  request(request: RemoteRequest): void
  /** Bytes of blobs as they come (`received`) or go (`sent`). */
  bytes(direction: 'received' | 'sent', count: number): void
  quota?(quota: PullQuota): void
}

export interface RemoteRequest {
  /** `host[:port]` that was asked, which may be a storage that the registry has sent us to. */
  readonly host: string
  readonly method: string
  readonly what: 'ping' | 'token' | 'manifest' | 'blob' | 'upload' | 'tags' | 'referrers' | 'catalog'
  readonly status: number
}

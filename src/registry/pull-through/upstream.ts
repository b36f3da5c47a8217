import type { Abortable } from '../../storage/abortable.ts'
import type { ReadableRepository } from '../../storage/images/image-repository.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { HopId } from '../../storage/remote/hops.ts'

/** CONTRACT. What pull-through stands in front of. */
export interface Upstreams {
  /**
   * The upstream whose prefix the repository is under; undefined for our own repositories.
   * @param hops registries that have passed the request on to this one; none unless given.
   * @throws DomainError `not_found` for what upstream could not have, because its name would be too long there.
   */
  of(repository: RepositoryName, hops?: readonly HopId[]): UpstreamRepository | undefined
}

/** One of our repositories that is a copy of one upstream, as far as somebody has asked for it. */
export interface UpstreamRepository {
  readonly upstream: Upstream
  /** What we call it. */
  readonly repository: RepositoryName
  /** As the user that is configured for this upstream, and nobody else. */
  readonly source: ReadableRepository
  /** Registries that have passed the request on to this one; {@link source} is told of them. None unless given. */
  readonly hops?: readonly HopId[] | undefined
}

/**
 * What tells questions of some from those of others. What was passed on is never the same question as what clients ask
 * themselves: two registries that ask one another would wait for one another, and whoever makes hops up would spoil the
 * answer of all who wait for it.
 */
export function flightOf({ hops = [] }: Pick<UpstreamRepository, 'hops'>): string {
  return hops.length === 0 ? '' : ` by ${hops.join(' ')}`
}

export interface Upstream {
  readonly name: string
  /** What our names begin with: one component or several, `docker.io` or `acme/hub`. */
  readonly prefix: RepositoryName
  readonly settings: UpstreamSettings
  /**
   * Asks upstream, unless it has just asked us to wait, or does not answer: then DomainError `throttled` or `unavailable`
   * at once, with `retryAfterSeconds`.
   */
  ask<Answer>(question: (options: Abortable) => Promise<Answer>, options?: Abortable): Promise<Answer>
}

export interface UpstreamSettings {
  /** How long a tag is believed without asking. */
  readonly tagFreshSeconds: number
  /** How long it is believed that upstream does not have something. */
  readonly absentSeconds: number
  /** Whether the last known copy is served when upstream says that it is not there (404), or not for us (401, 403). */
  readonly keepAbsent: boolean
  /** Whether what was fetched is kept. */
  readonly store: boolean
}

import type { Abortable } from '../../storage/abortable.ts'
import type { ReadableRepository } from '../../storage/images/image-repository.ts'
import type { RepositoryName } from '../../storage/reference.ts'

/** CONTRACT. What pull-through stands in front of. */
export interface Upstreams {
  /**
   * The upstream whose prefix the repository is under; undefined for our own repositories.
   * @throws DomainError `not_found` for what upstream could not have, because its name would be too long there.
   */
  of(repository: RepositoryName): UpstreamRepository | undefined
}

/** One of our repositories that is a copy of one upstream, as far as somebody has asked for it. */
export interface UpstreamRepository {
  readonly upstream: Upstream
  /** What we call it. */
  readonly repository: RepositoryName
  /** As the user that is configured for this upstream, and nobody else. */
  readonly source: ReadableRepository
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

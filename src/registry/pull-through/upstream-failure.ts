import { DomainError, isDomainError, type Resource } from '../../errors.ts'
import type { UpstreamRepository } from './upstream.ts'

/**
 * What a failure of upstream means for whoever pulls. `absent`: upstream does not have it; `refused`: not for us, which is
 * none of the client's business; `away`: it is not known now, because upstream throttles, does not answer, or answers what
 * cannot be believed.
 */
export type FailureKind = 'absent' | 'refused' | 'away'

/** Undefined for what is no failure of upstream: an abort, a failure of our own stores, or a mistake of ours. */
export function failureKindOf(error: unknown): FailureKind | undefined {
  if (!isDomainError(error) || ownResources.has(error.details.resource)) return undefined
  if (error.code === 'not_found') return 'absent'
  return error.code === 'unauthorized' || error.code === 'denied' ? 'refused' : 'away'
}

const ownResources: ReadonlySet<Resource> = new Set(['database', 'object'])

/** That upstream does not have something, as clients are told. Its own challenge is nothing that they could answer. */
export function absentUpstream(
  { upstream, repository }: Pick<UpstreamRepository, 'upstream' | 'repository'>,
  resource: Resource,
  /** The beginning of a sentence. */
  what: string,
  cause?: unknown,
): DomainError {
  return new DomainError(
    'not_found',
    `${what} of ${repository} is neither here nor at ${upstream.name}.`,
    { resource, name: repository },
    { cause },
  )
}

/** Whether upstream, or one behind it, says that it is asked by itself. */
export function isLoop(error: unknown): error is DomainError {
  return isDomainError(error) && error.details.isLoop === true
}

function loopAt(name: string, cause: DomainError): DomainError {
  return new DomainError(
    'unsupported',
    `${name} is asked in a circle, so nothing can come of it; give that upstream another registry: ${cause.message}`,
    { resource: 'registry', name, isLoop: true },
    { cause },
  )
}

/** That it cannot be known now. @param error one that {@link failureKindOf} calls `away`. */
export function upstreamAway(
  { upstream }: Pick<UpstreamRepository, 'upstream'>,
  error: unknown,
): DomainError {
  const retryAfterSeconds = isDomainError(error) ? error.details.retryAfterSeconds : undefined
  if (isLoop(error)) return loopAt(upstream.name, error)
  if (isDomainError(error, 'throttled'))
    return new DomainError(
      'throttled',
      `${upstream.name} lets us pull no more for now; try again later.`,
      { resource: 'registry', name: upstream.name, retryAfterSeconds },
      { cause: error },
    )
  const why = error instanceof Error ? error.message : 'it does not answer'
  return new DomainError(
    'unavailable',
    `${upstream.name} does not answer as it should: ${why}`,
    { resource: 'registry', name: upstream.name, retryAfterSeconds },
    { cause: error },
  )
}

import { DomainError, isAbort, isDomainError } from '../../../errors.ts'
import type { Digest } from '../../../storage/digest.ts'
import type { UpstreamRepository } from '../upstream.ts'
import { absentUpstream, failureKindOf, isLoop, upstreamAway } from '../upstream-failure.ts'

/**
 * What a client is told of a blob that does not come. What upstream does not give us, for whatever reason, is not there:
 * a client's own credentials would not help. What upstream sends wrong is not the client's mistake. A mistake of ours stays one.
 */
export function fetchFailure(error: unknown, at: UpstreamRepository, digest: Digest): unknown {
  if (isAbort(error) || !isDomainError(error) || isOurs(error)) return error
  const kind = failureKindOf(error)
  return kind === 'absent' || kind === 'refused'
    ? absentUpstream(at, 'blob', `The blob ${digest}`, error)
    : upstreamAway(at, error)
}

/** What breaks off the answer of whoever reads too slowly, or too late. */
export function givenUp(digest: Digest): DomainError {
  return new DomainError(
    'unavailable',
    `The blob ${digest} cannot be read any further from here; ask for it again.`,
    { resource: 'blob', name: digest },
  )
}

/** Whether what has come is not the blob, so that nothing of it may be kept. */
export function isWrongContent(error: unknown): boolean {
  return isDomainError(error, 'digest_mismatch', 'size_mismatch')
}

/** Whether upstream has only said that it does not give the blob, or not now. */
export function isRefusal(error: unknown): boolean {
  if (isLoop(error)) return true
  return isDomainError(error, 'not_found', 'unauthorized', 'denied', 'throttled', 'unavailable')
}

function isOurs(error: unknown): boolean {
  return (
    isDomainError(error) && (error.details.resource === 'database' || error.details.resource === 'object')
  )
}

import { DomainError } from '../../errors.ts'
import { type HopId, maxHops } from '../../storage/remote/hops.ts'
import type { UpstreamRepository } from './upstream.ts'
import { isLoop } from './upstream-failure.ts'

/**
 * Refuses what would be asked of an upstream and has come back to this registry, or by too many others. Whoever makes that
 * up is refused, and nobody else: no question of others is joined by it (`flightOf`).
 *
 * @throws DomainError `unsupported`, `isLoop`.
 */
export function refuseLoop(at: UpstreamRepository, self: HopId | undefined): void {
  const { hops = [], repository, upstream } = at
  if (self !== undefined && hops.includes(self))
    throw loop(
      `${repository} is asked for by this registry itself, by way of its upstream ${upstream.name}; one of the two has to have another one`,
      at,
    )
  if (hops.length >= maxHops)
    throw loop(`${repository} is asked for by way of ${maxHops} registries, which is one too many`, at)
}

/** As whoever asked is told: registries by the status, clients in words. */
export function loopAsTold(error: unknown, { hops = [] }: UpstreamRepository): unknown {
  if (!isLoop(error) || hops.length > 0) return error
  return new DomainError('invalid', error.message, error.details, { cause: error })
}

function loop(why: string, { upstream }: UpstreamRepository): DomainError {
  return new DomainError('unsupported', `${why}.`, {
    resource: 'registry',
    name: upstream.name,
    isLoop: true,
  })
}

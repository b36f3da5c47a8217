import { setTimeout as sleep } from 'node:timers/promises'
import { isDomainError } from '../../errors.ts'
import { type DeliveryParts, DeliveryTurn, leaseEnd } from './delivery-turn.ts'

/**
 * Tells one endpoint of events, in their order and each at least once, until it is stopped. Of all processes that do
 * the same, one at a time has the lease; when it dies, another goes on where it last said that it was.
 */
export function startDelivery(parts: DeliveryParts): AsyncDisposable {
  const stopping = new AbortController()
  const running = deliver(parts, stopping.signal)
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      await running
    },
  }
}

async function deliver(parts: DeliveryParts, signal: AbortSignal): Promise<void> {
  const { endpoint, log, times } = parts
  while (!signal.aborted) {
    try {
      await takeTurn(parts, signal)
    } catch (error) {
      if (signal.aborted) return
      // The database is away, or somebody else has the lease now.
      if (isDomainError(error)) log.warn({ endpoint: endpoint.name, error }, 'events are not delivered now')
      else log.error({ endpoint: endpoint.name, error }, 'delivery of events failed')
    }
    // Not all at the same time.
    await sleep(times.pollMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {})
  }
}

async function takeTurn(parts: DeliveryParts, signal: AbortSignal): Promise<void> {
  const { records, endpoint, holder, times } = parts
  const until = leaseEnd(endpoint, times)
  const record = await records.leaseEndpoint(endpoint.name, { holder, until }, { signal })
  if (record === undefined) return
  const turn = new DeliveryTurn(parts, record, until)
  try {
    await turn.run({ signal })
  } finally {
    await turn.end().catch((error: unknown) => {
      // Then the lease runs out by itself, and what was told since the last time is told again.
      if (!isDomainError(error) && !(error instanceof DOMException)) throw error
    })
  }
}

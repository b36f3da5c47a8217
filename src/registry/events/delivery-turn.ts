import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../log.ts'
import type { EventMetrics } from '../../metrics/event-metrics.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type {
  EndpointRecord,
  EventEndpointRecords,
  EventRecords,
  RegistryEvent,
} from '../../storage/metadata/event-records.ts'
import { backoffMs } from '../../storage/backoff.ts'
import type { EventEndpoint } from './endpoint.ts'
import type { EventBatch } from './event-filter.ts'
import type { EventSender } from './webhook-sender.ts'

/** All in milliseconds. */
export interface DeliveryTimes {
  /** How often it is looked for new events, and for a lease. */
  readonly pollMs: number
  /** How often the progress is saved while there is any: what was told since is told again after a crash. */
  readonly saveMs: number
  /** How much longer a lease runs than a request may take; clocks of replicas must not differ by more. */
  readonly leaseMarginMs: number
}

export const defaultDeliveryTimes: DeliveryTimes = Object.freeze({
  pollMs: 1_000,
  saveMs: 1_000,
  leaseMarginMs: 2_000,
})

export interface DeliveryParts {
  readonly endpoint: EventEndpoint
  readonly records: EventEndpointRecords & Pick<EventRecords, 'listEvents'>
  readonly sender: EventSender
  readonly cut: (events: readonly RegistryEvent[]) => EventBatch[]
  /** Different for each that may deliver. */
  readonly holder: string
  readonly log: Logger
  readonly metrics: Pick<EventMetrics, 'delivered' | 'failed' | 'expired'>
  readonly times: DeliveryTimes
}

/** Events that are read at once. */
const pageSize = 500

/** How long a process that stops, or has a database that does not answer, tries to say how far it has come. */
const lastSaveMs = 2_000

/** What one holder of the lease does until it fails, loses it or is stopped. */
export class DeliveryTurn {
  readonly #parts: DeliveryParts
  #position: number
  #failures: number
  #nextAttemptAt: Date | undefined
  #leaseUntil: Date
  #savedPosition: number
  #savedAt = performance.now()

  constructor(parts: DeliveryParts, { position, failures }: EndpointRecord, leaseUntil: Date) {
    this.#parts = parts
    this.#position = position
    this.#savedPosition = position
    this.#failures = failures
    this.#leaseUntil = leaseUntil
  }

  /** Ends with the first request that fails. @throws DomainError `conflict` when the lease is lost, `unavailable`. */
  async run(options: Abortable): Promise<void> {
    const { records, cut, times } = this.#parts
    for (;;) {
      const events = await records.listEvents({ after: this.#position, limit: pageSize }, options)
      this.#noteExpired(events)
      for (const batch of cut(events)) if (!(await this.#tell(batch, options))) return
      if (this.#position !== this.#savedPosition) await this.#save(options)
      if (events.length < pageSize) await sleep(times.pollMs, undefined, options)
      await this.#keepLease(options)
    }
  }

  /** Gives the lease up, and says how far it has come and when to go on. */
  async end(): Promise<void> {
    const { records, endpoint, holder } = this.#parts
    await records.saveEndpoint(
      endpoint.name,
      holder,
      { position: this.#position, failures: this.#failures, nextAttemptAt: this.#nextAttemptAt },
      { signal: AbortSignal.timeout(lastSaveMs) },
    )
  }

  async #tell({ events, upTo }: EventBatch, options: Abortable): Promise<boolean> {
    const { sender, endpoint, metrics, times } = this.#parts
    if (events.length > 0) {
      await this.#keepLease(options)
      const outcome = await sender.send(events, options)
      if (!outcome.isDelivered) {
        this.#noteFailure(outcome.reason, outcome.retryAfterMs)
        metrics.failed(endpoint.name, events.length, outcome.status)
        return false
      }
      this.#failures = 0
      metrics.delivered(endpoint.name, events.length, outcome.status ?? 0)
    }
    this.#position = upTo
    if (performance.now() - this.#savedAt >= times.saveMs) await this.#save(options)
    return true
  }

  #noteFailure(reason: string, retryAfterMs: number | undefined): void {
    const { endpoint, log } = this.#parts
    this.#failures += 1
    const pauseMs = backoffMs(this.#failures, endpoint.maxBackoffMs, retryAfterMs)
    this.#nextAttemptAt = new Date(Date.now() + pauseMs)
    log.warn(
      { endpoint: endpoint.name, reason, failures: this.#failures, pauseMs },
      'events could not be delivered; they wait',
    )
  }

  /** Positions have no gaps, so what is missing has been deleted. */
  #noteExpired([first]: readonly RegistryEvent[]): void {
    const missing = first === undefined ? 0 : first.position - this.#position - 1
    if (missing === 0) return
    const { endpoint, log, metrics } = this.#parts
    metrics.expired(endpoint.name, missing)
    log.error(
      { endpoint: endpoint.name, events: missing },
      'events were too old before they could be delivered, and are lost to this endpoint',
    )
  }

  /** So that each request has ended, one way or the other, before anybody else may send one. */
  async #keepLease(options: Abortable): Promise<void> {
    const { endpoint, times } = this.#parts
    const left = this.#leaseUntil.getTime() - Date.now()
    if (left < endpoint.timeoutMs + times.leaseMarginMs) await this.#save(options)
  }

  async #save(options: Abortable): Promise<void> {
    const { records, endpoint, holder, times } = this.#parts
    const leaseUntil = leaseEnd(endpoint, times)
    const [position, failures] = [this.#position, this.#failures]
    await records.saveEndpoint(endpoint.name, holder, { position, failures, leaseUntil }, options)
    this.#leaseUntil = leaseUntil
    this.#savedPosition = position
    this.#savedAt = performance.now()
  }
}

/** When a lease that begins now runs out. */
export function leaseEnd({ timeoutMs }: EventEndpoint, { leaseMarginMs }: DeliveryTimes): Date {
  return new Date(Date.now() + 2 * (timeoutMs + leaseMarginMs))
}

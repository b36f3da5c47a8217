import { Counter, Gauge, Registry } from 'prom-client'
import type { MetricsText } from './metrics.ts'

/** How far events have come. */
export interface EventProgress {
  /** Position of the newest event. */
  readonly newest: number
  readonly endpoints: readonly { readonly name: string; readonly position: number }[]
}

/** Metrics of the process that delivers events, under the names of distribution where it has them. */
export interface EventMetrics extends MetricsText {
  /** @param status that the receiver has answered. */
  delivered(endpoint: string, events: number, status: number): void
  /** An attempt. @param status undefined when there was no answer. */
  failed(endpoint: string, events: number, status: number | undefined): void
  /** Events that were deleted before they were delivered. */
  expired(endpoint: string, events: number): void
}

/** @param progress asked whenever somebody wants the metrics; when it fails, its values are those of the time before. */
export function createEventMetrics(progress: () => Promise<EventProgress>): EventMetrics {
  const registry = new Registry()
  const registers = [registry]
  const events = new Counter({
    name: 'registry_notifications_events_total',
    help: 'Events by how their request has ended: Successes, Failures (an answer but 2xx), Errors (no answer).',
    labelNames: ['type', 'endpoint'] as const,
    registers,
  })
  const statuses = new Counter({
    name: 'registry_notifications_status_total',
    help: 'Requests to receivers by the status that they have answered.',
    labelNames: ['code', 'endpoint'] as const,
    registers,
  })
  const expired = new Counter({
    name: 'varve_events_expired_total',
    help: 'Events that became too old before they were delivered.',
    labelNames: ['endpoint'] as const,
    registers,
  })
  const pending = new Gauge({
    name: 'registry_notifications_pending_total',
    help: 'Events after the last one that was delivered.',
    labelNames: ['endpoint'] as const,
    registers,
  })
  const position = new Gauge({
    name: 'varve_events_position',
    help: 'Position of the newest event, which is how many were ever written.',
    registers,
  })
  const refresh = async (): Promise<void> => {
    const { newest, endpoints } = await progress()
    position.set(newest)
    for (const endpoint of endpoints)
      pending.labels(endpoint.name).set(Math.max(newest - endpoint.position, 0))
  }
  return {
    contentType: registry.contentType,
    text: async () => {
      await refresh().catch(() => {})
      return registry.metrics()
    },
    delivered: (endpoint, count, status) => {
      events.labels('Successes', endpoint).inc(count)
      statuses.labels(String(status), endpoint).inc()
    },
    failed: (endpoint, count, status) => {
      events.labels(status === undefined ? 'Errors' : 'Failures', endpoint).inc(count)
      if (status !== undefined) statuses.labels(String(status), endpoint).inc()
    },
    expired: (endpoint, count) => expired.labels(endpoint).inc(count),
  }
}

/** Several as one; no name may be in more than one of them. */
export function joinMetrics(first: MetricsText, ...others: readonly MetricsText[]): MetricsText {
  return {
    contentType: first.contentType,
    text: async () => {
      const texts = await Promise.all([first, ...others].map(metrics => metrics.text()))
      return texts.map(text => (text.endsWith('\n') ? text : `${text}\n`)).join('')
    },
  }
}

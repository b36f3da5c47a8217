import { Counter, type Registry } from 'prom-client'

/** Of who is let in and who is not, and of what could not be written down about it. */
export interface RefusalMetrics {
  /** Events of pulls that could not be written, because the database was away for too long. */
  pullEventsDropped(count: number): void
  /** A request was refused. @param limit one of a fixed set of names. */
  limited(limit: string): void
  /** Who sent a request was asked for. @param outcome and @param kind one of a few words each. */
  accessMeasured(outcome: string, kind: string): void
  /** Entries of the audit log that were lost. @param where one of a few words. */
  auditDropped(where: string, count: number): void
}

export function createRefusalMetrics(registry: Registry): RefusalMetrics {
  const registers = [registry]
  const pullsDropped = new Counter({
    name: 'varve_pull_events_dropped_total',
    help: 'Events of pulls that could not be written.',
    registers,
  })
  const limited = new Counter({
    name: 'varve_limited_total',
    help: 'Requests that were refused because of a limit: requests, logins, uploads or quota.',
    labelNames: ['limit'] as const,
    registers,
  })
  const access = new Counter({
    name: 'varve_access_total',
    help: 'Requests by whether they were let in (challenged: nothing was shown yet), and by what was shown.',
    labelNames: ['outcome', 'kind'] as const,
    registers,
  })
  const auditDropped = new Counter({
    name: 'varve_audit_dropped_total',
    help: 'Entries that are missing in the audit log: in the database, in the file, or too many refusals of one address.',
    labelNames: ['where'] as const,
    registers,
  })
  const accessSeries = new Map<string, ReturnType<typeof access.labels>>()
  return {
    pullEventsDropped: count => pullsDropped.inc(count),
    limited: limit => limited.labels(limit).inc(),
    accessMeasured: (outcome, kind) => {
      const key = `${outcome} ${kind}`
      const known = accessSeries.get(key) ?? access.labels(outcome, kind)
      accessSeries.set(key, known)
      known.inc()
    },
    auditDropped: (where, count) => auditDropped.labels(where).inc(count),
  }
}

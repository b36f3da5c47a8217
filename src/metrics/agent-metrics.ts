import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { MetricsText } from './metrics.ts'

export type ImportOutcome = 'done' | 'failed' | 'cancelled'

/** What is looked at when somebody asks for the metrics; a pool that is not open has none. */
export interface PoolMeasure {
  readonly pool: string
  readonly open: boolean
  readonly importsRunning: number
  readonly importsQueued: number
  /** Undefined when it could not be found out. */
  readonly availableBytes: number | undefined
}

/** All metrics of an agent. */
export interface AgentMetrics extends MetricsText {
  /** @param route the template that matched, one of a fixed set. */
  requestDone(route: string, method: string, status: number, seconds: number): void
  importDone(pool: string, outcome: ImportOutcome, seconds: number): void
  /** @param bytes of file content that the layer brought. */
  layerApplied(pool: string, bytes: number, seconds: number): void
  clonesMade(pool: string, count: number, seconds: number): void
  cloneDestroyed(pool: string, seconds: number): void
}

/** Most requests are answered at once; some wait for an import, or follow one. */
const requestSeconds = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600]
/** Clones take milliseconds, large layers minutes. */
const shortSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
const longSeconds = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800]
const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE'])

export function createAgentMetrics(pools: () => Promise<readonly PoolMeasure[]>): AgentMetrics {
  const registry = new Registry()
  const registers = [registry]
  const requests = new Histogram({
    name: 'varve_agent_request_duration_seconds',
    help: 'Seconds from a request to the end of its answer; its count is the number of requests.',
    labelNames: ['route', 'method', 'code'] as const,
    buckets: requestSeconds,
    registers,
  })
  const imports = new Histogram({
    name: 'varve_agent_import_duration_seconds',
    help: 'Seconds that imports took, by how they have ended: done, failed, cancelled.',
    labelNames: ['pool', 'outcome'] as const,
    buckets: longSeconds,
    registers,
  })
  const layers = new Histogram({
    name: 'varve_agent_layer_duration_seconds',
    help: 'Seconds that applying layers took.',
    labelNames: ['pool'] as const,
    buckets: longSeconds,
    registers,
  })
  const layerBytes = new Counter({
    name: 'varve_agent_layer_bytes_total',
    help: 'Bytes of file content that applied layers brought.',
    labelNames: ['pool'] as const,
    registers,
  })
  const made = new Counter({
    name: 'varve_agent_clones_made_total',
    help: 'Clones that were made, or were there already when they were asked for.',
    labelNames: ['pool'] as const,
    registers,
  })
  const makeSeconds = new Histogram({
    name: 'varve_agent_clone_duration_seconds',
    help: 'Seconds that a call took which makes clones.',
    labelNames: ['pool'] as const,
    buckets: shortSeconds,
    registers,
  })
  const destroySeconds = new Histogram({
    name: 'varve_agent_clone_destroy_duration_seconds',
    help: 'Seconds that destroying a clone took; its count is the number of clones destroyed.',
    labelNames: ['pool'] as const,
    buckets: shortSeconds,
    registers,
  })
  const gauge = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ['pool'] as const, registers })
  const open = gauge('varve_agent_pool_open', 'Whether the pool is open: 1 or 0.')
  const running = gauge('varve_agent_imports_running', 'Imports that run.')
  const queued = gauge('varve_agent_imports_queued', 'Imports that wait for their turn.')
  const available = gauge('varve_agent_pool_available_bytes', 'Bytes that are free in the pool.')

  const refresh = async (): Promise<void> => {
    for (const { pool, ...measure } of await pools()) {
      open.labels(pool).set(measure.open ? 1 : 0)
      running.labels(pool).set(measure.importsRunning)
      queued.labels(pool).set(measure.importsQueued)
      if (measure.availableBytes === undefined) available.remove(pool)
      else available.labels(pool).set(measure.availableBytes)
    }
  }
  return {
    contentType: registry.contentType,
    text: async () => {
      await refresh()
      return await registry.metrics()
    },
    requestDone: (route, method, status, seconds) =>
      requests
        .labels(route, knownMethods.has(method) ? method.toLowerCase() : 'unknown', String(status))
        .observe(seconds),
    importDone: (pool, outcome, seconds) => imports.labels(pool, outcome).observe(seconds),
    layerApplied: (pool, bytes, seconds) => {
      layers.labels(pool).observe(seconds)
      layerBytes.labels(pool).inc(bytes)
    },
    clonesMade: (pool, count, seconds) => {
      made.labels(pool).inc(count)
      makeSeconds.labels(pool).observe(seconds)
    },
    cloneDestroyed: (pool, seconds) => destroySeconds.labels(pool).observe(seconds),
  }
}

import { AggregatorRegistry, collectDefaultMetrics, Registry } from 'prom-client'
import { type MemorySources, observeMemory } from './memory-metrics.ts'
import { createProxyMetrics, type ProxyMetrics } from './proxy-metrics.ts'
import { createRefusalMetrics, type RefusalMetrics } from './refusal-metrics.ts'
import { createRequestMetrics, type RequestMetrics } from './request-metrics.ts'
import { createStoreMetrics, type StoreMetrics } from './store-metrics.ts'

/** What /metrics tells. */
export interface MetricsText {
  /** Of {@link text}. */
  readonly contentType: string
  /** Prometheus' text format. */
  text(): Promise<string>
}

/** All metrics of one process, under the names of distribution where it has them, so that its dashboards work. */
export interface Metrics extends MetricsText, RequestMetrics, StoreMetrics, RefusalMetrics {
  /** In a cluster worker: lets {@link createClusterMetrics} read these. */
  joinCluster(): void
  /** Of pull-through. */
  readonly proxy: ProxyMetrics
}

/** In the process that forked the workers: the sums over all that have joined. */
export function createClusterMetrics(): MetricsText {
  const aggregator = new AggregatorRegistry()
  return { contentType: aggregator.contentType, text: () => aggregator.clusterMetrics() }
}

export function createMetrics(sources: MemorySources): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const requests = createRequestMetrics(registry)
  const store = createStoreMetrics(registry)
  const refusals = createRefusalMetrics(registry)
  observeMemory(registry, sources)
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    joinCluster: () => {
      AggregatorRegistry.setRegistries(registry)
      // It is its constructor that begins to listen.
      void new AggregatorRegistry()
    },
    ...requests,
    ...store,
    ...refusals,
    proxy: createProxyMetrics(registry),
  }
}

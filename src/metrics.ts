import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { createProxyMetrics, type ProxyMetrics } from './proxy-metrics.ts'

/** One request that has been answered, or broken off. */
export interface RequestMeasure {
  /** What was called; one of a fixed set of names. */
  readonly handler: string
  /** As sent; unknown methods are counted together. */
  readonly method: string
  readonly status: number
  readonly durationMs: number
  /** Bytes of the bodies. */
  readonly bytesIn: number
  readonly bytesOut: number
}

/** What is looked at when somebody asks for the metrics. */
export interface MetricSources {
  readonly uploadBuffers: {
    readonly usedBytes: number
    readonly limitBytes: number
    readonly waiting: number
  }
  /** Upload sessions that this process is writing to. */
  readonly uploads: { readonly openWriters: number }
  /** Small blobs in memory, if any are kept. */
  readonly blobCache?:
    | {
        readonly usedBytes: number
        readonly limitBytes: number
        readonly hits: number
        readonly misses: number
      }
    | undefined
}

/** All metrics of one process, under the names of distribution where it has them, so that its dashboards work. */
export interface Metrics {
  /** Of {@link text}. */
  readonly contentType: string
  /** Prometheus' text format. */
  text(): Promise<string>
  /** @returns what is to be called when the request is done with. */
  requestStarted(handler: string): () => void
  requestDone(measure: RequestMeasure): void
  /** In a cluster worker: lets {@link createClusterMetrics} read these. */
  joinCluster(): void
  /**
   * One HTTP request to the object store, those that are sent again too.
   * @param operation such as `PutObject`.
   * @param status of HTTP; undefined when no answer came.
   * @param bytes of the body that was sent or, for `GetObject`, announced.
   */
  storeRequest(operation: string, status: number | undefined, bytes: number): void
  /** A request to the object store is sent again. */
  storeRetry(operation: string): void
  /** Events of pulls that could not be written, because the database was away for too long. */
  pullEventsDropped(count: number): void
  /** A request was refused. @param limit one of a fixed set of names. */
  limited(limit: string): void
  /** Who sent a request was asked for. @param outcome and @param kind one of a few words each. */
  accessMeasured(outcome: string, kind: string): void
  /** Entries of the audit log that were lost. @param where one of a few words. */
  auditDropped(where: string, count: number): void
  /** @param seconds until the store has answered; the reading of what it answers is not in it. */
  storageAction(driver: string, action: string, seconds: number): void
  /** Of pull-through. */
  readonly proxy: ProxyMetrics
}

/** What /metrics tells. */
export type MetricsText = Pick<Metrics, 'contentType' | 'text'>

/** In the process that forked the workers: the sums over all that have joined. */
export function createClusterMetrics(): MetricsText {
  const aggregator = new AggregatorRegistry()
  return { contentType: aggregator.contentType, text: () => aggregator.clusterMetrics() }
}

/** Distribution's, and below them those that a registry needs which answers in less than 5 ms. */
const durationBuckets = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60,
]

/** 1 KiB to 4 GiB, each four times the one before. */
const sizeBuckets = Array.from({ length: 12 }, (_, power) => 1024 * 4 ** power)

const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

export function createMetrics({ uploadBuffers, uploads, blobCache }: MetricSources): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const labelNames = ['handler', 'method', 'code'] as const
  const requests = new Counter({
    name: 'registry_http_requests_total',
    help: 'Requests that were answered or broken off (499).',
    labelNames,
    registers,
  })
  const durations = new Histogram({
    name: 'registry_http_request_duration_seconds',
    help: 'Seconds from the headers of a request to the end of its answer.',
    labelNames,
    buckets: durationBuckets,
    registers,
  })
  const requestSizes = new Histogram({
    name: 'registry_http_request_size_bytes',
    help: 'Bytes of request bodies.',
    labelNames,
    buckets: sizeBuckets,
    registers,
  })
  const responseSizes = new Histogram({
    name: 'registry_http_response_size_bytes',
    help: 'Bytes of response bodies.',
    labelNames,
    buckets: sizeBuckets,
    registers,
  })
  const inFlight = new Gauge({
    name: 'registry_http_in_flight_requests',
    help: 'Requests that are being served.',
    labelNames: ['handler'] as const,
    registers,
  })
  const storage = new Histogram({
    name: 'registry_storage_action_seconds',
    help: 'Seconds until the object store has answered.',
    labelNames: ['driver', 'action'] as const,
    buckets: durationBuckets,
    registers,
  })
  const storeRequests = new Counter({
    name: 'varve_object_store_requests_total',
    help: 'HTTP requests to the object store; code none when no answer came.',
    labelNames: ['operation', 'code'] as const,
    registers,
  })
  const storeRetries = new Counter({
    name: 'varve_object_store_retries_total',
    help: 'Requests to the object store that were sent again.',
    labelNames: ['operation'] as const,
    registers,
  })
  const storeBytes = new Counter({
    name: 'varve_object_store_bytes_total',
    help: 'Bytes of bodies that were sent to the object store or, by GetObject, read from it.',
    labelNames: ['operation'] as const,
    registers,
  })
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
  observe(
    registry,
    'varve_upload_buffered_bytes',
    'Bytes of memory that uploads hold.',
    () => uploadBuffers.usedBytes,
  )
  observe(
    registry,
    'varve_upload_buffer_limit_bytes',
    'Bytes of memory that uploads may hold.',
    () => uploadBuffers.limitBytes,
  )
  observe(
    registry,
    'varve_upload_buffer_waiting',
    'Uploads that wait for memory.',
    () => uploadBuffers.waiting,
  )
  observe(
    registry,
    'varve_uploads_open',
    'Upload sessions that this process is writing to.',
    () => uploads.openWriters,
  )
  if (blobCache !== undefined) observeCache(registry, blobCache)

  const accessSeries = new Map<string, ReturnType<typeof access.labels>>()
  const series = new Map<string, (measure: RequestMeasure) => void>()
  /** Looking labels up costs more than counting, and there are few of them. */
  function seriesOf(handler: string, method: string, code: string): (measure: RequestMeasure) => void {
    const labels = { handler, method, code }
    const [counter, duration, size, answerSize] = [
      requests.labels(labels),
      durations.labels(labels),
      requestSizes.labels(labels),
      responseSizes.labels(labels),
    ]
    return ({ durationMs, bytesIn, bytesOut }) => {
      counter.inc()
      duration.observe(durationMs / 1000)
      size.observe(bytesIn)
      answerSize.observe(bytesOut)
    }
  }

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    requestStarted: handler => {
      const gauge = inFlight.labels(handler)
      gauge.inc()
      return () => gauge.dec()
    },
    requestDone: measure => {
      const method = knownMethods.has(measure.method) ? measure.method.toLowerCase() : 'unknown'
      const key = `${measure.handler} ${method} ${measure.status}`
      let count = series.get(key)
      if (count === undefined) {
        count = seriesOf(measure.handler, method, String(measure.status))
        series.set(key, count)
      }
      count(measure)
    },
    joinCluster: () => {
      AggregatorRegistry.setRegistries(registry)
      // It is its constructor that begins to listen.
      void new AggregatorRegistry()
    },
    storeRequest: (operation, status, bytes) => {
      storeRequests.labels(operation, String(status ?? 'none')).inc()
      storeBytes.labels(operation).inc(bytes)
    },
    storeRetry: operation => storeRetries.labels(operation).inc(),
    pullEventsDropped: count => pullsDropped.inc(count),
    limited: limit => limited.labels(limit).inc(),
    accessMeasured: (outcome, kind) => {
      const key = `${outcome} ${kind}`
      const known = accessSeries.get(key) ?? access.labels(outcome, kind)
      accessSeries.set(key, known)
      known.inc()
    },
    auditDropped: (where, count) => auditDropped.labels(where).inc(count),
    storageAction: (driver, action, seconds) => storage.labels(driver, action).observe(seconds),
    proxy: createProxyMetrics(registry),
  }
}

function observeCache(registry: Registry, cache: NonNullable<MetricSources['blobCache']>): void {
  observe(
    registry,
    'varve_blob_cache_bytes',
    'Bytes of memory that small blobs take up.',
    () => cache.usedBytes,
  )
  observe(
    registry,
    'varve_blob_cache_limit_bytes',
    'Bytes of memory that small blobs may take up.',
    () => cache.limitBytes,
  )
  count(
    registry,
    'varve_blob_cache_hits_total',
    'Reads of small blobs that were answered from memory.',
    () => cache.hits,
  )
  count(
    registry,
    'varve_blob_cache_misses_total',
    'Reads of small blobs that the object store was asked for.',
    () => cache.misses,
  )
}

/** A counter that is kept elsewhere, and looked up when it is asked for. */
function count(registry: Registry, name: string, help: string, value: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(value())
    },
  })
}

/** A gauge whose value is looked up when it is asked for. */
function observe(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(value())
    },
  })
}

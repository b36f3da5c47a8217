import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { durationBuckets } from './duration-buckets.ts'

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

/** Of requests to the registry. */
export interface RequestMetrics {
  /** @returns what is to be called when the request is done with. */
  requestStarted(handler: string): () => void
  requestDone(measure: RequestMeasure): void
}

/** 1 KiB to 4 GiB, each four times the one before. */
const sizeBuckets = Array.from({ length: 12 }, (_, power) => 1024 * 4 ** power)

const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

export function createRequestMetrics(registry: Registry): RequestMetrics {
  const registers = [registry]
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
  }
}

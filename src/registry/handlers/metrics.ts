import type { MetricsText } from '../../metrics/metrics.ts'
import type { Handler } from '../handler.ts'

/** GET /metrics, for Prometheus. */
export function createMetricsHandler(metrics: MetricsText): Handler {
  return async () => ({
    status: 200,
    content: { type: metrics.contentType, bytes: Buffer.from(await metrics.text()) },
  })
}

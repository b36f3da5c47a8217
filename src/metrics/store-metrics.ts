import { Counter, Histogram, type Registry } from 'prom-client'
import { durationBuckets } from './duration-buckets.ts'

/** Of requests to the object store. */
export interface StoreMetrics {
  /**
   * One HTTP request to the object store, those that are sent again too.
   * @param operation such as `PutObject`.
   * @param status of HTTP; undefined when no answer came.
   * @param bytes of the body that was sent or, for `GetObject`, announced.
   */
  storeRequest(operation: string, status: number | undefined, bytes: number): void
  /** A request to the object store is sent again. */
  storeRetry(operation: string): void
  /** @param seconds until the store has answered; the reading of what it answers is not in it. */
  storageAction(driver: string, action: string, seconds: number): void
}

export function createStoreMetrics(registry: Registry): StoreMetrics {
  const registers = [registry]
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
  return {
    storeRequest: (operation, status, bytes) => {
      storeRequests.labels(operation, String(status ?? 'none')).inc()
      storeBytes.labels(operation).inc(bytes)
    },
    storeRetry: operation => storeRetries.labels(operation).inc(),
    storageAction: (driver, action, seconds) => storage.labels(driver, action).observe(seconds),
  }
}

import { Counter, Gauge, Registry } from 'prom-client'
import type { MetricsText } from './metrics.ts'

/** What the garbage collection of one process has done. */
export interface CollectMetrics extends MetricsText {
  ticked(tick: CollectTick): void
  /** A tick ended with an error. */
  failed(): void
}

/** One tick, as metrics tell of it. */
export interface CollectTick {
  /** One of a few words. */
  readonly outcome: string
  readonly links: number
  readonly blobs: number
  readonly manifests: number
  readonly repositories: number
  readonly objects: number
  readonly bytes: number
  readonly failures: { readonly length: number }
}

export function createCollectMetrics(now: () => number = Date.now): CollectMetrics {
  const registry = new Registry()
  const registers = [registry]
  const ticks = new Counter({
    name: 'varve_gc_ticks_total',
    help: 'Looks at what is due: done, more, paused, closed (not the time of day), elsewhere (another replica), failed.',
    labelNames: ['outcome'] as const,
    registers,
  })
  const removed = new Counter({
    name: 'varve_gc_removed_total',
    help: 'What was removed because nothing named it: link, blob, manifest, repository, object (of the store).',
    labelNames: ['kind'] as const,
    registers,
  })
  const bytes = new Counter({
    name: 'varve_gc_removed_bytes_total',
    help: 'Bytes of the blobs that were removed; their objects are deleted a while later.',
    registers,
  })
  const failures = new Counter({
    name: 'varve_gc_object_failures_total',
    help: 'Objects that could not be deleted, and are tried again.',
    registers,
  })
  const last = new Gauge({
    name: 'varve_gc_last_tick_timestamp_seconds',
    help: 'When this process last had its turn.',
    registers,
  })
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    ticked: tick => {
      ticks.labels(tick.outcome).inc()
      removed.labels('link').inc(tick.links)
      removed.labels('blob').inc(tick.blobs)
      removed.labels('manifest').inc(tick.manifests)
      removed.labels('repository').inc(tick.repositories)
      removed.labels('object').inc(tick.objects)
      bytes.inc(tick.bytes)
      failures.inc(tick.failures.length)
      if (tick.outcome === 'done' || tick.outcome === 'more') last.set(now() / 1000)
    },
    failed: () => ticks.labels('failed').inc(),
  }
}

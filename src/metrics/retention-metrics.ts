import { Counter, Gauge, Registry } from 'prom-client'
import type { MetricsText } from './metrics.ts'

/** What the retention of one process has done. */
export interface RetentionMetrics extends MetricsText {
  ticked(tick: MeasuredTick): void
  /** A tick ended with an error. */
  failed(): void
}

/** One tick, as metrics tell of it. */
export interface MeasuredTick {
  /** One of a few words. */
  readonly outcome: string
  readonly expired: number
  readonly labelled: number
  readonly tags: number
  readonly manifests: number
  readonly skipped: number
}

export function createRetentionMetrics(now: () => number = Date.now): RetentionMetrics {
  const registry = new Registry()
  const registers = [registry]
  const ticks = new Counter({
    name: 'varve_retention_ticks_total',
    help: 'Looks at what is due: done, more, paused, elsewhere (another replica), failed.',
    labelNames: ['outcome'] as const,
    registers,
  })
  const dropped = new Counter({
    name: 'varve_retention_dropped_total',
    help: 'What was dropped: expired (a tag whose time had come), tag (by a policy), manifest (without a tag, by a policy).',
    labelNames: ['kind'] as const,
    registers,
  })
  const labelled = new Counter({
    name: 'varve_retention_labelled_total',
    help: 'Tags whose labels say when they go.',
    registers,
  })
  const skipped = new Counter({
    name: 'varve_retention_skipped_total',
    help: 'What changed in the moment in which it was to go, and so stayed.',
    registers,
  })
  const last = new Gauge({
    name: 'varve_retention_last_tick_timestamp_seconds',
    help: 'When this process last had its turn.',
    registers,
  })
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    ticked: tick => {
      ticks.labels(tick.outcome).inc()
      dropped.labels('expired').inc(tick.expired)
      dropped.labels('tag').inc(tick.tags)
      dropped.labels('manifest').inc(tick.manifests)
      labelled.inc(tick.labelled)
      skipped.inc(tick.skipped)
      if (tick.outcome === 'done' || tick.outcome === 'more') last.set(now() / 1000)
    },
    failed: () => ticks.labels('failed').inc(),
  }
}

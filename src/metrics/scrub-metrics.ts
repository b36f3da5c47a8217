import { Counter, Gauge, Registry } from 'prom-client'
import type { MetricsText } from './metrics.ts'

/** What the scrub of one process has done, and what all have found. */
export interface ScrubMetrics extends MetricsText {
  ticked(tick: ScrubTick): void
  /** A tick ended with an error. */
  failed(): void
  /** As the database has it. */
  standing(standing: ScrubStanding): void
}

/** One tick, as metrics tell of it. */
export interface ScrubTick {
  /** One of a few words. */
  readonly outcome: string
  readonly blobs: number
  readonly bytes: number
  readonly corrupt: number
  readonly missing: number
  readonly healed: number
  readonly strays: number
  readonly discarded: number
  readonly unsettled: number
}

export interface ScrubStanding {
  /** Blobs that are quarantined now. */
  readonly corrupt: number
  readonly missing: number
  /** When the last pass ended; null: none has. */
  readonly endedAt: Date | null
  /** Whether a pass has stopped because too many blobs are missing. */
  readonly isStopped: boolean
}

export function createScrubMetrics(): ScrubMetrics {
  const registry = new Registry()
  const registers = [registry]
  const ticks = new Counter({
    name: 'varve_scrub_ticks_total',
    help: 'Looks at what is due: done, more, stopped (too many are missing), closed (not the time of day), off, elsewhere (another replica), failed.',
    labelNames: ['outcome'] as const,
    registers,
  })
  const blobs = new Counter({ name: 'varve_scrub_blobs_total', help: 'Blobs that were checked.', registers })
  const bytes = new Counter({
    name: 'varve_scrub_bytes_total',
    help: 'Bytes that were read from the store to check them.',
    registers,
  })
  const found = new Counter({
    name: 'varve_scrub_found_total',
    help: 'What a scrub found: corrupt, missing (blobs, quarantined then), healed (blobs whose bytes were there again), stray (an object that nothing names), discarded (a stray, given up), unsettled (could not be judged).',
    labelNames: ['kind'] as const,
    registers,
  })
  const quarantined = new Gauge({
    name: 'varve_scrub_quarantined_blobs',
    help: 'Blobs that are damaged now, and not served until they are pushed again.',
    labelNames: ['kind'] as const,
    registers,
  })
  const stopped = new Gauge({
    name: 'varve_scrub_stopped',
    help: '1 while a pass has stopped because too many blobs are missing: look at the bucket.',
    registers,
  })
  const last = new Gauge({
    name: 'varve_scrub_last_pass_timestamp_seconds',
    help: 'When the last pass over all objects ended; 0: none has.',
    registers,
  })
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    ticked: tick => {
      ticks.labels(tick.outcome).inc()
      blobs.inc(tick.blobs)
      bytes.inc(tick.bytes)
      for (const kind of ['corrupt', 'missing', 'healed', 'discarded', 'unsettled'] as const)
        found.labels(kind).inc(tick[kind])
      found.labels('stray').inc(tick.strays)
    },
    failed: () => ticks.labels('failed').inc(),
    standing: ({ corrupt, missing, endedAt, isStopped }) => {
      quarantined.labels('corrupt').set(corrupt)
      quarantined.labels('missing').set(missing)
      stopped.set(isStopped ? 1 : 0)
      last.set((endedAt?.getTime() ?? 0) / 1000)
    },
  }
}

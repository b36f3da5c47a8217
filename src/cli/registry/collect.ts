import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { type CollectMetrics, createCollectMetrics } from '../../metrics/collect-metrics.ts'
import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import { Collector } from '../../registry/collect/collector.ts'
import { parseWindow } from '../../registry/collect/window.ts'
import { ObjectBlobStore } from '../../storage/blobs/object-blob-store.ts'
import { hourMs } from '../../storage/durations.ts'
import { every } from './hourly.ts'
import type { Stores } from './stores.ts'

/** A tick is no longer, so that another process goes on soon after one that died in the middle. */
const longestTickMs = 60_000

export interface RunningCollector extends AsyncDisposable {
  readonly metrics: CollectMetrics
}

/** Collects garbage regularly, in one process of each machine; those of several machines take turns. */
export function startCollector(config: Config, stores: Stores, log: Logger): RunningCollector {
  const metrics = createCollectMetrics()
  if (!config.collect.enabled) return { metrics, [Symbol.asyncDispose]: async () => {} }
  const collector = createCollector(config, stores)
  const ticking = every(
    config.collect.intervalSeconds * 1000,
    async ({ signal }) => {
      for (;;) {
        const tick = await collector.tick({ signal })
        metrics.ticked(tick)
        const { failures, ...counts } = tick
        if (counts.links + counts.blobs + counts.manifests + counts.repositories + counts.objects > 0)
          log.info({ collected: counts }, 'garbage collected')
        if (failures.length > 0)
          log.warn(
            { failures: failures.length, reason: failures[0]?.message },
            'objects could not be deleted; they are tried again',
          )
        if (tick.outcome !== 'more') return
      }
    },
    error => {
      metrics.failed()
      log.error({ error }, 'garbage could not be collected')
    },
  )
  return { metrics, [Symbol.asyncDispose]: () => ticking[Symbol.asyncDispose]() }
}

/** @param tickMs how long a tick of it may take at most. */
export function createCollector(
  config: Config,
  { objects, metadata }: Pick<Stores, 'objects' | 'metadata'>,
  tickMs: number = longestTickMs,
): Collector {
  const { collect } = config
  const blobs = new ObjectBlobStore({ objects, metadata })
  return new Collector({
    records: metadata,
    sweepGarbage: options => blobs.sweepGarbage(options),
    holder: `${hostname()} ${process.pid} ${randomUUID()}`,
    settings: {
      policy: {
        untaggedMs:
          collect.untaggedHours === undefined ? undefined : Math.round(collect.untaggedHours * hourMs),
        referrers: collect.referrers,
      },
      batch: collect.batch,
      tickMs: Math.min(tickMs, longestTickMs),
      window: collect.window === undefined ? undefined : parseWindow(collect.window),
    },
  })
}

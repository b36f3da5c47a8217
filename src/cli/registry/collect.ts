import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { type CollectMetrics, createCollectMetrics } from '../../collect-metrics.ts'
import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import { Collector } from '../../registry/collect/collector.ts'
import { parseWindow } from '../../registry/collect/window.ts'
import { every } from './hourly.ts'
import { createBlobMemory, createBlobs } from './service.ts'
import type { Stores } from './stores.ts'

const hourMs = 60 * 60 * 1000

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
    },
    error => {
      metrics.failed()
      log.error({ error }, 'garbage could not be collected')
    },
  )
  return { metrics, [Symbol.asyncDispose]: () => ticking[Symbol.asyncDispose]() }
}

export function createCollector(config: Config, stores: Stores): Collector {
  const { collect } = config
  const blobs = createBlobs(config, stores, createBlobMemory(config))
  return new Collector({
    records: stores.metadata,
    sweepGarbage: options => blobs.sweepGarbage(options),
    holder: `${hostname()} ${process.pid} ${randomUUID()}`,
    settings: {
      policy: {
        untaggedMs:
          collect.untaggedHours === undefined ? undefined : Math.round(collect.untaggedHours * hourMs),
        referrers: collect.referrers,
      },
      batch: collect.batch,
      tickMs: collect.intervalSeconds * 1000,
      window: collect.window === undefined ? undefined : parseWindow(collect.window),
    },
  })
}

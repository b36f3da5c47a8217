import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import { AuditFile } from '../../registry/audit/audit-file.ts'
import { parseWindow } from '../../registry/collect/window.ts'
import { RetentionTicker } from '../../registry/retention/retention-ticker.ts'
import { createRetentionMetrics, type RetentionMetrics } from '../../metrics/retention-metrics.ts'
import { ObjectBlobStore } from '../../storage/blobs/object-blob-store.ts'
import { minuteMs } from '../../storage/durations.ts'
import type { NewAuditEntry } from '../../storage/metadata/audit-records.ts'
import { every } from './hourly.ts'
import { isCopy } from './is-copy.ts'
import type { Stores } from './stores.ts'

/** How often there is a look at which times have come. */
const intervalMs = minuteMs
/** A tick is shorter than that, so that no time has to wait for the run of a policy. */
const longestTickMs = 40_000

export interface RunningRetention extends AsyncDisposable {
  readonly metrics: RetentionMetrics
}

/** Drops what rules and times let go, in one process of each machine; those of several machines take turns. */
export function startRetention(config: Config, stores: Stores, log: Logger): RunningRetention {
  const metrics = createRetentionMetrics()
  if (!config.retention.enabled || config.registry.readOnly)
    return { metrics, [Symbol.asyncDispose]: async () => {} }
  const ticker = createRetentionTicker(config, stores, log)
  const ticking = every(
    intervalMs,
    async ({ signal }) => {
      const tick = await ticker.tick({ signal })
      metrics.ticked(tick)
      const { outcome, ...dropped } = tick
      if (tick.expired + tick.tags + tick.manifests > 0)
        log.info({ outcome, dropped }, 'tags and manifests dropped')
    },
    error => {
      metrics.failed()
      log.error({ error }, 'what rules and times let go could not be dropped')
    },
  )
  return { metrics, [Symbol.asyncDispose]: () => ticking[Symbol.asyncDispose]() }
}

/** @param tickMs how long a tick of it may take at most. */
export function createRetentionTicker(
  config: Config,
  { objects, metadata }: Pick<Stores, 'objects' | 'metadata'>,
  log: Logger,
  tickMs: number = longestTickMs,
): RetentionTicker {
  const { policies, schedule, window, labels } = config.retention
  const { file } = config.audit
  return new RetentionTicker({
    records: metadata,
    blobs: new ObjectBlobStore({ objects, metadata }),
    log,
    source: {
      configured: policies.map(({ name, ...policy }) => ({ name, policy })),
      isExempt: isCopy(config),
    },
    audit: async (entries, options) => {
      await metadata.addAuditEntries(entries, options)
      if (file === undefined) return
      // They are in the database: told again, they would be there twice.
      await appendTo(file, entries).catch((error: unknown) => {
        log.error({ file, entries: entries.length, error }, 'lines of the audit log’s file are lost')
      })
    },
    holder: `${hostname()} ${process.pid} ${randomUUID()}`,
    settings: {
      schedule,
      window: window === undefined ? undefined : parseWindow(window),
      readsLabels: labels,
      tickMs: Math.min(tickMs, longestTickMs),
    },
  })
}

async function appendTo(path: string, entries: readonly NewAuditEntry[]): Promise<void> {
  await using file = await AuditFile.open(path)
  await file.append(entries)
}

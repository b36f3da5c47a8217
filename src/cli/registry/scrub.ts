import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import { parseWindow } from '../../registry/collect/window.ts'
import type { CheckedFault } from '../../registry/scrub/check-blob.ts'
import { Scrubber } from '../../registry/scrub/scrubber.ts'
import { createScrubMetrics, type ScrubMetrics } from '../../metrics/scrub-metrics.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { dayMs, hourMs } from '../../storage/durations.ts'
import { every } from './hourly.ts'
import type { Stores } from './stores.ts'

/** A tick is no longer, but for the object that it is at. */
const longestTickMs = 60_000

/** Between two ticks: whoever has asked for a check, and waits for the lease, has it by then. */
const turnMs = 1_500

/** Between two looks at an object that was wrong. */
export const scrubPauseMs = 250

/** How often it is said that a pass has stopped. */
const remindMs = hourMs

export interface RunningScrub extends AsyncDisposable {
  readonly metrics: ScrubMetrics
}

/** Checks what is stored regularly, in one process of all. */
export function startScrub(
  config: Config,
  stores: Pick<Stores, 'objects' | 'metadata'>,
  log: Logger,
): RunningScrub {
  const metrics = createScrubMetrics()
  const scrubber = createScrubber(config, stores, { log })
  let remindedAt = Number.NEGATIVE_INFINITY
  let isStarting = true
  const ticking = every(
    config.scrub.intervalSeconds * 1000,
    async options => {
      if (isStarting) {
        // Nothing is asked of the store at the start.
        isStarting = false
        await tellStanding(stores, metrics, options)
        return
      }
      for (;;) {
        const { outcome, ...counts } = await scrubber.tick(options)
        metrics.ticked({ outcome, ...counts })
        await tellStanding(stores, metrics, options)
        if (counts.blobs + counts.strays + counts.discarded > 0)
          log.info({ scrubbed: counts }, 'stored blobs checked')
        if (outcome === 'stopped' && performance.now() - remindedAt >= remindMs) {
          remindedAt = performance.now()
          log.error(stoppedHelp)
        }
        if (outcome !== 'more') return
        await sleep(turnMs, undefined, options)
      }
    },
    error => {
      metrics.failed()
      log.error({ error }, 'stored blobs could not be checked')
    },
  )
  return { metrics, [Symbol.asyncDispose]: () => ticking[Symbol.asyncDispose]() }
}

const stoppedHelp =
  'So many blobs are missing in the store that checking has stopped: it may be the wrong bucket or directory. See `varve scrub status`; if they are really lost, `varve scrub run --all`.'

const tooManyStraysHelp =
  'There are more objects in the store that nothing names than blobs, so none of them is deleted: it may be the wrong database. See `varve scrub strays`; if they really are of no use, `varve scrub run --all`.'

async function tellStanding(
  { metadata }: Pick<Stores, 'metadata'>,
  metrics: ScrubMetrics,
  options: Abortable,
): Promise<void> {
  const faults = await metadata.countFaults(options)
  const { endedAt, pass } = await metadata.scrubState(options)
  metrics.standing({ ...faults, endedAt, isStopped: pass.stoppedAt !== null })
}

export interface CreateScrubberOptions {
  readonly log?: Logger | undefined
  /** How long a tick of it may take at most. */
  readonly tickMs?: number | undefined
}

export function createScrubber(
  { scrub, registry }: Pick<Config, 'scrub' | 'registry'>,
  { objects, metadata }: Pick<Stores, 'objects' | 'metadata'>,
  { log, tickMs = longestTickMs }: CreateScrubberOptions = {},
): Scrubber {
  let remindedAt = Number.NEGATIVE_INFINITY
  const remind = (strays: number): void => {
    if (performance.now() - remindedAt < remindMs) return
    remindedAt = performance.now()
    log?.error({ strays }, tooManyStraysHelp)
  }
  return new Scrubber({
    records: metadata,
    objects,
    holder: `${hostname()} ${process.pid} ${randomUUID()}`,
    settings: {
      bytesPerSecond: scrub.bytesPerSecond,
      everyMs: scrub.everyDays * dayMs,
      window: scrub.window === undefined ? undefined : parseWindow(scrub.window),
      maxMissingPercent: scrub.maxMissingPercent,
      keepStraysMs: Math.max(scrub.keepStraysDays * dayMs, registry.uploadExpiryHours * hourMs),
      settleMs: hourMs,
      pauseMs: scrubPauseMs,
      tickMs: Math.min(tickMs, longestTickMs),
    },
    onFault: fault => log && logFault(log, fault),
    onTooManyStrays: remind,
  })
}

export function logFault(log: Logger, { blob, kind, detail, isHealed }: CheckedFault): void {
  const facts = { digest: blob.digest, object: blob.objectKey, kind, detail }
  if (isHealed) log.warn(facts, 'a stored blob was damaged; another object had its bytes')
  else log.error(facts, 'a stored blob is damaged; it is not served until it is pushed again')
}

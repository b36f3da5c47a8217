import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../log.ts'
import type { ImportService, PruneReport, PruneRequest } from '../import-service.ts'

export interface PruneScheduleOptions {
  readonly service: Pick<ImportService, 'prune'>
  readonly request: PruneRequest
  readonly everyMs: number
  readonly log: Pick<Logger, 'info' | 'error'>
  /** From 0 to below 1. */
  readonly random?: (() => number) | undefined
}

/** How far an interval may be from what was asked for: agents that were started together do not prune together. */
const jitter = 0.1

/**
 * Prunes again and again until it is disposed, which ends a prune that is running. The first one comes some time within
 * the first interval, each further one an interval after the one before has ended; what fails is logged, and tried then.
 */
export class PruneSchedule implements AsyncDisposable {
  readonly #options: PruneScheduleOptions
  readonly #random: () => number
  readonly #closing = new AbortController()
  readonly #running: Promise<void>

  constructor(options: PruneScheduleOptions) {
    this.#options = options
    this.#random = options.random ?? Math.random
    this.#running = this.#run(this.#closing.signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException('the schedule has ended', 'AbortError'))
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { everyMs } = this.#options
    let factor = this.#random()
    while (await passes(everyMs * factor, signal)) {
      await this.#prune(signal)
      factor = 1 - jitter + 2 * jitter * this.#random()
    }
  }

  async #prune(signal: AbortSignal): Promise<void> {
    const { service, request, log } = this.#options
    try {
      const report = await service.prune(request, { signal })
      if (report.removed.length > 0 || report.orphanedChains > 0) log.info(summaryOf(report), 'images pruned')
      for (const { image, reason } of report.kept) log.info({ image, reason }, 'image not pruned')
    } catch (error) {
      if (!signal.aborted) log.error({ error }, 'images could not be pruned')
    }
  }
}

function summaryOf({ removed, kept, orphanedChains, usedBytesBefore, usedBytesAfter }: PruneReport): object {
  const images = removed.map(({ names, manifestDigest }) => names[0] ?? manifestDigest)
  return { removed: images, kept: kept.length, orphanedChains, usedBytesBefore, usedBytesAfter }
}

/** Whether the time has passed: false when the signal came before. Does not keep the process from ending. */
async function passes(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(milliseconds, undefined, { signal, ref: false })
    return true
  } catch {
    return false
  }
}

import { Cron } from 'croner'
import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { CollectRecords } from '../../storage/metadata/collect-records.ts'
import type { RetentionRecords, RetentionState } from '../../storage/metadata/retention-records.ts'
import type { SettingRecords } from '../../storage/metadata/setting-records.ts'
import { type CollectWindow, isInWindow } from '../collect/window.ts'
import { isFarAhead } from '../is-passed.ts'
import { Dropper, type DropperParts } from './dropper.ts'
import { expireTags } from './expire-tags.ts'
import { followLabels, type LabelFollowerParts } from './follow-labels.ts'
import { pullsKnownSince } from './plan.ts'
import { type RunParts, runRetention } from './run-retention.ts'

export interface RetentionTickerParts extends Pick<LabelFollowerParts, 'blobs' | 'log'> {
  readonly records: RunParts['records'] &
    DropperParts['records'] &
    LabelFollowerParts['records'] &
    Pick<
      RetentionRecords,
      | 'leaseRetention'
      | 'releaseRetention'
      | 'retentionState'
      | 'beginRetention'
      | 'listExpiredTags'
      | 'dropTagExpiry'
      | 'forgetTagExpiries'
    > &
    Pick<CollectRecords, 'collectState'> &
    SettingRecords
  readonly source: RunParts['source']
  readonly audit: DropperParts['audit']
  /** This process, for others. */
  readonly holder: string
  readonly settings: RetentionSettings
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

export interface RetentionSettings {
  /** A cron expression, in UTC; undefined: runs begin only when somebody asks for one. */
  readonly schedule: string | undefined
  /** When runs are at work; undefined: all day long. */
  readonly window: CollectWindow | undefined
  readonly readsLabels: boolean
  /** A tick ends after so long, be there more to do or not. */
  readonly tickMs: number
}

export interface RetentionTickOptions extends Abortable {
  /** Begins a run if none is under way, whatever schedule and window say. */
  readonly runs?: boolean | undefined
}

/** What one tick did. */
export interface RetentionTick {
  /** `more`: there is more to do; `elsewhere`: another process is at it. */
  readonly outcome: 'done' | 'more' | 'paused' | 'elsewhere'
  /** Tags whose own time had come. */
  readonly expired: number
  /** Tags whose labels say when they go. */
  readonly labelled: number
  /** Dropped by policies. */
  readonly tags: number
  readonly manifests: number
  readonly skipped: number
  /** That a run is done with. */
  readonly repositories: number
}

const nothing = { expired: 0, labelled: 0, tags: 0, manifests: 0, skipped: 0, repositories: 0 }

/** How long the audit log is told of what was done when all stops. */
const lastWriteMs = 2_000

/**
 * Drops what rules and times let go, in small steps, each of which checks in its transaction that what was decided on is
 * still so. The lease spares replicas the work of another one; without it they would do nothing wrong.
 */
export class RetentionTicker {
  readonly #parts: RetentionTickerParts
  readonly #now: () => number
  readonly #knownSince: Date

  constructor(parts: RetentionTickerParts) {
    this.#parts = parts
    this.#now = parts.now ?? Date.now
    this.#knownSince = new Date(this.#now())
  }

  /** @throws DomainError `unavailable`. */
  async tick({ signal, runs = false }: RetentionTickOptions = {}): Promise<RetentionTick> {
    const { records, holder, settings } = this.#parts
    if ((await records.collectState({ signal })).pausedAt !== null) return { outcome: 'paused', ...nothing }
    // Longer than a tick, so that it is held from the beginning to the end of one.
    const until = new Date(this.#now() + 2 * settings.tickMs)
    if (!(await records.leaseRetention({ holder, until }, { signal })))
      return { outcome: 'elsewhere', ...nothing }
    try {
      return await this.#work(runs, { signal })
    } finally {
      await records.releaseRetention(holder).catch((error: unknown) => {
        // It runs out.
        if (!isDomainError(error)) throw error
      })
    }
  }

  async #work(runs: boolean, options: Abortable): Promise<RetentionTick> {
    const { records, audit, settings } = this.#parts
    const endMs = performance.now() + settings.tickMs
    const dropper = new Dropper({ records, audit, now: this.#now }, endMs, options)
    try {
      const { expired, hasMore: hasExpired } = await expireTags(records, dropper, this.#now, options)
      const labels = await this.#followLabels(endMs, options).catch((error: unknown) => ({ error }))
      options.signal?.throwIfAborted()
      const { hasMore: hasRun, ...counts } = await this.#run(runs, dropper, options)
      // One object that cannot be read now keeps labels waiting, but no policy.
      if ('error' in labels) throw labels.error
      const { labelled, hasMore: hasLabels } = labels
      const outcome = dropper.isPaused ? 'paused' : hasExpired || hasLabels || hasRun ? 'more' : 'done'
      return { outcome, expired, labelled, ...counts }
    } finally {
      // What was done is told, even when all stops.
      await dropper.tell({ signal: AbortSignal.timeout(lastWriteMs) })
    }
  }

  async #followLabels(endMs: number, options: Abortable) {
    const { records, blobs, log, source, settings } = this.#parts
    if (!settings.readsLabels) return { labelled: 0, hasMore: false }
    // Half of the time that is left, so that runs go on however much is pushed.
    const labelEndMs = (performance.now() + endMs) / 2
    return await followLabels({ records, blobs, log, isExempt: source.isExempt }, labelEndMs, options)
  }

  async #run(runs: boolean, dropper: Dropper, options: Abortable) {
    const { records, source } = this.#parts
    const idle = { tags: 0, manifests: 0, skipped: 0, repositories: 0, hasMore: false }
    const pullsSince = await pullsKnownSince(records, new Date(this.#now()), options)
    const state = await records.retentionState(options)
    if (!runs && !this.#isOpen()) return idle
    const isUnderWay = state.beganAt !== null && state.endedAt === null
    if (!isUnderWay) {
      if (!runs && !this.#isDue(state)) return idle
      await records.beginRetention(options)
    }
    const times = { now: new Date(this.#now()), pullsKnownSince: pullsSince }
    const place = isUnderWay ? state.place : null
    return await runRetention({ records, source }, dropper, { place, times }, options)
  }

  #isOpen(): boolean {
    const { window } = this.#parts.settings
    return window === undefined || isInWindow(window, new Date(this.#now()))
  }

  /** A schedule that is new does not ask for what was before it; one that was missed several times asks once. */
  #isDue({ beganAt }: RetentionState): boolean {
    const { schedule } = this.#parts.settings
    if (schedule === undefined) return false
    const isKnown = beganAt !== null && !isFarAhead(beganAt, this.#now())
    const next = nextRun(schedule, isKnown ? beganAt : this.#knownSince)
    return next !== null && next.getTime() <= this.#now()
  }
}

/** Null: never. */
export function nextRun(schedule: string, after: Date): Date | null {
  return new Cron(schedule, { paused: true, timezone: 'UTC' }).nextRun(after)
}

import type { Abortable } from '../../storage/abortable.ts'
import type { CollectRecords } from '../../storage/metadata/collect-records.ts'
import type { ScrubRecords, ScrubState } from '../../storage/metadata/scrub-records.ts'
import type { ObjectStore } from '../../storage/objects/object-store.ts'
import { type CollectWindow, isInWindow } from '../collect/window.ts'
import { BytePace } from './byte-pace.ts'
import type { CheckedFault } from './check-blob.ts'
import { scrubDue, straysLimit } from './due.ts'
import { KeptLease } from './kept-lease.ts'
import { ScrubPassRun } from './pass-run.ts'
import { readStrays } from './read-strays.ts'
import { noCounts, type ScrubCounts, ScrubTally } from './scrub-counts.ts'

export interface ScrubberParts {
  readonly records: ScrubRecords & Pick<CollectRecords, 'collectState'>
  readonly objects: Pick<ObjectStore, 'head' | 'get' | 'ping' | 'list'>
  /** This process, for others. */
  readonly holder: string
  readonly settings: ScrubberSettings
  readonly onFault?: ((fault: CheckedFault) => void) | undefined
  /** Told how many objects that nothing names are kept, because there are more of them than blobs. */
  readonly onTooManyStrays?: ((strays: number) => void) | undefined
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

export interface ScrubberSettings {
  /** 0: nothing is read, unless somebody asks for it. */
  readonly bytesPerSecond: number
  readonly everyMs: number
  /** Undefined: all day long. */
  readonly window: CollectWindow | undefined
  readonly maxMissingPercent: number
  readonly keepStraysMs: number
  /** After how long an object that no row named is looked at again. */
  readonly settleMs: number
  /** Between two looks at an object that was wrong. */
  readonly pauseMs: number
  /** A tick ends after so long, but not amid an object. */
  readonly tickMs: number
}

export interface ScrubTickOptions extends Abortable {
  /** Somebody asks for it: whatever the time is, and though none is due. */
  readonly asked?: ScrubRequest | undefined
}

export interface ScrubRequest {
  /** Whether a pass is to begin, or one that has stopped to begin anew. */
  readonly begins: boolean
  /** It goes on however many blobs are missing. */
  readonly takesAll: boolean
  /** 0: as fast as it goes; undefined: as it is set. */
  readonly bytesPerSecond?: number | undefined
}

/** What one tick did. */
export interface ScrubReport extends ScrubCounts {
  /**
   * `more`: there is more to do; `stopped`: too many blobs are missing; `elsewhere`: another process is at it; `closed`: it
   * is not the time of day; `off`: it is not wanted.
   */
  readonly outcome: 'done' | 'more' | 'stopped' | 'elsewhere' | 'closed' | 'off'
}

/** How long a process that died keeps others waiting. */
const leaseMs = 60_000

/** Rows of one transaction. */
const discardedAtOnce = 200

/**
 * Looks through all that is stored, bit by bit: first each blob's object is read and compared with its digest, then the
 * store is asked for objects that no row names. How far it has come is saved, so whatever dies is gone on with.
 */
export class Scrubber {
  readonly #parts: ScrubberParts
  readonly #now: () => number
  readonly #pace: BytePace

  constructor(parts: ScrubberParts) {
    this.#parts = parts
    this.#now = parts.now ?? Date.now
    this.#pace = paceOf(parts.settings.bytesPerSecond)
  }

  /** Does what is due, for the time of a tick. @throws DomainError `unavailable`. */
  async tick({ asked, signal }: ScrubTickOptions = {}): Promise<ScrubReport> {
    const { records, settings, holder } = this.#parts
    const idle = (outcome: ScrubReport['outcome']): ScrubReport => ({ outcome, ...noCounts })
    if (asked === undefined) {
      if (settings.bytesPerSecond === 0) return idle('off')
      const { window } = settings
      if (window !== undefined && !isInWindow(window, new Date(this.#now()))) return idle('closed')
    } else if (asked.begins || asked.takesAll) await records.requestScrub(asked.takesAll, { signal })
    const options = { records, holder, leaseMs, now: this.#now }
    await using lease = await KeptLease.take(options, { signal })
    if (lease === undefined) return idle('elsewhere')
    const signals = signal === undefined ? [lease.lost] : [lease.lost, signal]
    try {
      return await this.#work(asked, AbortSignal.any(signals))
    } catch (error) {
      signal?.throwIfAborted()
      if (lease.lost.aborted) return idle('elsewhere')
      throw error
    }
  }

  async #work(asked: ScrubRequest | undefined, signal: AbortSignal): Promise<ScrubReport> {
    const { records, settings } = this.#parts
    const end = performance.now() + settings.tickMs
    const tally = new ScrubTally()
    const parts = {
      ...this.#parts,
      pace: asked?.bytesPerSecond === undefined ? this.#pace : paceOf(asked.bytesPerSecond),
      pauseMs: settings.pauseMs,
      onBytes: (bytes: number) => tally.add('bytes', bytes),
      onFault: (fault: CheckedFault) => {
        tally.found(fault)
        this.#parts.onFault?.(fault)
      },
    }
    const state = await this.#begun(await records.scrubState({ signal }), signal)
    let outcome: ScrubReport['outcome'] = 'done'
    if (state === 'stopped') outcome = 'stopped'
    else if (state !== undefined)
      outcome = await new ScrubPassRun(parts, settings.maxMissingPercent, tally).run(state, { end, signal })
    if (outcome !== 'stopped' && performance.now() < end) {
      const foundBefore = new Date(this.#now() - settings.settleMs)
      for await (const stray of readStrays(parts, { foundBefore, signal })) {
        if (stray === 'read') tally.add('strays')
        else if (stray === 'healed' || stray === 'unsettled') tally.add(stray)
        if (performance.now() >= end) outcome = 'more'
        if (outcome === 'more') break
      }
      tally.add('discarded', await this.#discard(end, { signal }))
    }
    return { outcome, ...tally.counts }
  }

  /** The pass that is under way, or one that is due; undefined where there is nothing to do. */
  async #begun(state: ScrubState, signal: AbortSignal): Promise<ScrubState | 'stopped' | undefined> {
    const { records, settings } = this.#parts
    const due = scrubDue(state, settings.everyMs, this.#now())
    if (due === 'wait') return undefined
    if (due === 'stopped') return 'stopped'
    if (due === 'go on') return state
    await records.requestScrub(false, { signal })
    return await records.scrubState({ signal })
  }

  /** Nothing is let go of while the garbage collection is paused, or where it may be the wrong database. */
  async #discard(end: number, options: Abortable): Promise<number> {
    const { records, settings, onTooManyStrays } = this.#parts
    const strays = await records.countStrays(options)
    if (strays.objects > straysLimit((await records.scrubState(options)).pass)) {
      onTooManyStrays?.(strays.objects)
      return 0
    }
    const before = new Date(this.#now() - settings.keepStraysMs)
    let discarded = 0
    while (performance.now() < end) {
      if ((await records.collectState(options)).pausedAt !== null) break
      const count = await records.discardStrays(before, discardedAtOnce, options)
      discarded += count
      if (count === 0) break
    }
    return discarded
  }
}

function paceOf(bytesPerSecond: number): BytePace {
  return new BytePace(bytesPerSecond === 0 ? undefined : bytesPerSecond)
}

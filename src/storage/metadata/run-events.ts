import type { MirrorOutcome, MirrorTotals, NewMirrorRun } from './mirror-records.ts'

/** What Varve does by itself: runs of mirror jobs, and upstreams that are left alone for a while. */
export type RunFacts = MirrorStarted | MirrorEnded | UpstreamBlocked | UpstreamFreed

export type RunKind = RunFacts['kind']

/** In the transaction that begins the run. */
export interface MirrorStarted extends MirrorRunFacts {
  readonly action: 'start'
}

/** In the transaction that ends it, whoever does: once for each run. */
export interface MirrorEnded extends MirrorRunFacts {
  readonly action: 'end'
  readonly startedAt: Date
  readonly outcome: MirrorOutcome
  /** In one sentence; undefined for `ok`. */
  readonly reason?: string | undefined
  /** With what the source's quota was then, where it has one. */
  readonly totals: MirrorTotals
  /**
   * When the newest run of the job that was `ok` has ended, this one included: how far it is behind is `at` minus this.
   * Undefined when there is none any more.
   */
  readonly lastSuccessAt?: Date | undefined
}

interface MirrorRunFacts extends Pick<NewMirrorRun, 'job' | 'trigger'> {
  readonly kind: 'mirror'
  readonly run: NewMirrorRun['id']
  /** Who has wished it, for people; null: nobody who has a name. */
  readonly wishedBy: string | null
}

/** One process has begun to leave an upstream alone. It may be put off further without another event. */
export interface UpstreamBlocked {
  readonly kind: 'upstream'
  readonly action: 'block'
  /** Its name in the configuration. */
  readonly upstream: string
  /** Whether it has asked for it (429), or does not answer. */
  readonly why: 'throttled' | 'unavailable'
  /** In one sentence. */
  readonly reason: string
  readonly until: Date
  /** What it has last said may still be pulled; undefined where it says nothing. */
  readonly pullsLeft?: number | undefined
}

/** It has answered that process again. */
export interface UpstreamFreed {
  readonly kind: 'upstream'
  readonly action: 'free'
  readonly upstream: string
}

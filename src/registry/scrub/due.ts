import { dayMs } from '../../storage/durations.ts'
import type { ScrubPass, ScrubState } from '../../storage/metadata/scrub-records.ts'
import { isPassed } from '../is-passed.ts'

/** A store that lacks so much may be whole again tomorrow. */
const stoppedMs = dayMs

/** So many may be missing, or without a name, however few blobs there are. */
const leastSuspicious = 20

/** What is to be done with the passes at this moment. */
export function scrubDue(
  { beganAt, place, pass }: Pick<ScrubState, 'beganAt' | 'place' | 'pass'>,
  everyMs: number,
  now: number,
): 'begin' | 'go on' | 'wait' | 'stopped' {
  if (place !== null && pass.stoppedAt === null) return 'go on'
  if (pass.stoppedAt !== null && place !== null)
    return isPassed(stoppedMs, pass.stoppedAt, now) ? 'begin' : 'stopped'
  return beganAt === null || isPassed(everyMs, beganAt, now) ? 'begin' : 'wait'
}

/** How many blobs a pass may find missing before it stops. */
export function missingLimit(
  { known, takesAll }: Pick<ScrubPass, 'known' | 'takesAll'>,
  percent: number,
): number {
  return takesAll ? Infinity : Math.max(leastSuspicious, Math.ceil((known * percent) / 100))
}

/**
 * How many objects that nothing names are discarded at most: with more of them than there are blobs, it may be the database
 * that is the wrong one, an empty one for example, and all of the store would go.
 */
export function straysLimit({ known, takesAll }: Pick<ScrubPass, 'known' | 'takesAll'>): number {
  return takesAll ? Infinity : Math.max(leastSuspicious, known)
}

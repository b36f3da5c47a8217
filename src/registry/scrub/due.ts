import { dayMs } from '../../storage/durations.ts'
import type { ScrubPass, ScrubState } from '../../storage/metadata/scrub-records.ts'
import { isPassed } from '../is-passed.ts'

/** A store that lacks so much may be whole again tomorrow. */
const stoppedMs = dayMs

/** So many may be missing, however few blobs there are. */
const leastMissing = 20

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
  return takesAll ? Infinity : Math.max(leastMissing, Math.ceil((known * percent) / 100))
}

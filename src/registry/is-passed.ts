import { hourMs } from '../storage/durations.ts'

/** By how much clocks of replicas may differ. */
const maxSkewMs = hourMs

/** Whether somebody's clock that said so was wrong: whoever believed it would wait until then. @param now milliseconds since 1970. */
export function isFarAhead(moment: Date, now: number): boolean {
  return moment.getTime() > now + maxSkewMs
}

/** Whether so much time has passed since then. Of what is said to have been far in the future it has. */
export function isPassed(ms: number, since: Date, now: number): boolean {
  return now - since.getTime() >= ms || isFarAhead(since, now)
}

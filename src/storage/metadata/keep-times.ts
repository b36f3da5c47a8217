import { hourMs } from '../durations.ts'

/**
 * How long what nothing names stays. All processes that share a database must be told the same.
 *
 *     pushed, or let go of                                   link removed         object deleted
 *     |--- a quarter: looked at first ---|--- graceMs in all ---|--- objectDelayMs ---|
 */
export interface KeepTimes {
  /** From the moment on that something was pushed, or that the last manifest that named it went. */
  readonly graceMs: number
  /** For those who have begun to read a blob when it goes. */
  readonly objectDelayMs: number
  /** How long what was deleted can be taken back; never less than the grace. */
  readonly undeleteMs: number
  /** How long an object that was found damaged stays, once another one has taken its place. */
  readonly keepDamagedMs: number
}

export const defaultKeepTimes: KeepTimes = Object.freeze({
  graceMs: 24 * hourMs,
  objectDelayMs: hourMs,
  undeleteMs: 24 * hourMs,
  keepDamagedMs: 30 * 24 * hourMs,
})

/**
 * A promise that something is there is good for half of the grace, so that whoever was told may refer to it.
 * @param keptUntil as it is written down.
 */
export function isPromised(keptUntil: number, now: number, { graceMs }: KeepTimes): boolean {
  return keptUntil >= now + graceMs / 2
}

/** What was just pushed is looked at before its grace is over: most of it is named by then, and needs no more looks. */
export function firstLookAt(now: number, { graceMs }: KeepTimes): number {
  return now + Math.floor(graceMs / 4)
}

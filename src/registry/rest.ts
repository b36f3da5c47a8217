import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../storage/abortable.ts'

/** The longest rest: what takes longer than this waits for others by itself. */
const longestRestMs = 250

/** Of the time that it has worked. */
const restRatio = 2

/**
 * For work that goes on beside pushes and pulls, after each step of it: they use the same processor and the same
 * database, and come first. @param sinceMs when the step began, by `performance.now()`.
 */
export async function rest(sinceMs: number, options: Abortable): Promise<void> {
  await sleep(Math.min(restRatio * (performance.now() - sinceMs), longestRestMs), undefined, options)
}

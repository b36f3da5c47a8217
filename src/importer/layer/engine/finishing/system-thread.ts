import { existsSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'

/** The number that the system gives the calling thread, of whatever process; 0 where it does not say (it does on Linux). */
export function systemThread(): number {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')))
  } catch {
    return 0
  }
}

/** A thread of this process that was there has ended. Known only of one that has a number. */
export function hasThreadEnded(thread: number): boolean {
  return thread !== 0 && !existsSync(`/proc/self/task/${thread}`)
}

import type { Config } from '../../config.ts'
import { hourMs, minuteMs } from '../../storage/durations.ts'
import type { KeepTimes } from '../../storage/metadata/keep-times.ts'

/** What every process that opens the database must know. */
export function keepTimesOf({ collect, storage }: Pick<Config, 'collect' | 'storage'>): KeepTimes {
  // Who was given a URL may come with it until it expires.
  const redirectMs = storage.redirect ? storage.redirectSeconds * 1000 : 0
  return {
    graceMs: Math.round(collect.graceHours * hourMs),
    objectDelayMs: Math.max(Math.round(collect.objectDelayMinutes * minuteMs), redirectMs),
  }
}

import type { Config } from '../../config.ts'
import { dayMs, hourMs, minuteMs } from '../../storage/durations.ts'
import type { KeepTimes } from '../../storage/metadata/keep-times.ts'

/** What every process that opens the database must know. */
export function keepTimesOf({
  collect,
  scrub,
  storage,
}: Pick<Config, 'collect' | 'scrub' | 'storage'>): KeepTimes {
  // Who was given a URL may come with it until it expires.
  const redirectMs = storage.redirect ? storage.redirectSeconds * 1000 : 0
  const graceMs = Math.round(collect.graceHours * hourMs)
  return {
    graceMs,
    keepDamagedMs: Math.round(scrub.keepDamagedDays * dayMs),
    undeleteMs: Math.max(graceMs, Math.round((collect.undeleteHours ?? 0) * hourMs)),
    objectDelayMs: Math.max(Math.round(collect.objectDelayMinutes * minuteMs), redirectMs),
  }
}

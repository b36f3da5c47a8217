import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import { dayMs, hourMs } from '../../storage/durations.ts'
import type { HistoryRecords } from '../../storage/metadata/history-records.ts'
import { hourly } from './hourly.ts'

/** Changes that one transaction forgets. */
const changesAtOnce = 1000

/** Forgets what tags named so long ago that nobody wants it back: now and every hour. */
export function forgetTagHistoryHourly(
  { collect }: Pick<Config, 'collect'>,
  records: Pick<HistoryRecords, 'forgetTagHistory'>,
  log: Logger,
  now: () => number = Date.now,
): AsyncDisposable {
  const keptMs = Math.max(collect.tagHistoryDays * dayMs, (collect.undeleteHours ?? 0) * hourMs)
  return hourly(
    async options => {
      const before = new Date(now() - keptMs)
      while ((await records.forgetTagHistory(before, changesAtOnce, options)) === changesAtOnce);
    },
    error => log.error({ error }, 'old changes of tags could not be forgotten'),
  )
}

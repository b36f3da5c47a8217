import type { Config } from '../config.ts'
import type { ImportService } from '../importer/import-service.ts'
import { PruneSchedule } from '../importer/prune/prune-schedule.ts'
import type { Logger } from '../log.ts'
import { minuteMs } from '../storage/durations.ts'

const daySeconds = 24 * 60 * 60

/** Starts what the settings say about images that nobody uses; undefined when they say nothing. */
export function pruneRegularly(
  service: Pick<ImportService, 'prune'>,
  { unusedDays, targetBytes, everyMinutes }: Config['importer']['prune'],
  log: Logger,
): AsyncDisposable | undefined {
  if (unusedDays === undefined && targetBytes === undefined) return undefined
  const unusedSeconds = unusedDays === undefined ? undefined : unusedDays * daySeconds
  return new PruneSchedule({
    service,
    request: { unusedSeconds, targetBytes },
    everyMs: everyMinutes * minuteMs,
    log,
  })
}

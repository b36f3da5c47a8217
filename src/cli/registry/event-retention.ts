import type { Logger } from '../../log.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { dayMs } from '../../storage/durations.ts'
import type { EventRecords } from '../../storage/metadata/event-records.ts'
import { hourly } from './hourly.ts'

/** Events that are deleted in one transaction. */
const batchSize = 1000

/** Deletes events that are older than so many days, delivered or not: now and every hour. */
export function deleteOldEvents(
  events: Pick<EventRecords, 'deleteEvents'>,
  days: number,
  log: Logger,
): AsyncDisposable {
  return hourly(
    async options => {
      const deleted = await deleteAll(events, new Date(Date.now() - days * dayMs), options)
      if (deleted > 0) log.info({ deleted }, 'old events deleted')
    },
    error => log.error({ error }, 'old events could not be deleted'),
  )
}

async function deleteAll(
  events: Pick<EventRecords, 'deleteEvents'>,
  before: Date,
  options: Abortable,
): Promise<number> {
  for (let total = 0; ; ) {
    const deleted = await events.deleteEvents(before, batchSize, options)
    total += deleted
    if (deleted < batchSize) return total
  }
}

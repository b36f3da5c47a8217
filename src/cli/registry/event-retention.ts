import type { Logger } from '../../log.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { EventRecords } from '../../storage/metadata/event-records.ts'

const hourMs = 60 * 60 * 1000
const dayMs = 24 * hourMs

/** Events that are deleted in one transaction. */
const batchSize = 1000

/** Deletes events that are older than so many days, delivered or not: now and every hour. */
export function deleteOldEvents(
  events: Pick<EventRecords, 'deleteEvents'>,
  days: number,
  log: Logger,
): AsyncDisposable {
  const closing = new AbortController()
  const { signal } = closing
  let deleting = Promise.resolve()
  const run = (): void => {
    deleting = deleteAll(events, new Date(Date.now() - days * dayMs), { signal })
      .then(deleted => {
        if (deleted > 0) log.info({ deleted }, 'old events deleted')
      })
      .catch((error: unknown) => {
        if (!signal.aborted) log.error({ error }, 'old events could not be deleted')
      })
  }
  const timer = setInterval(run, hourMs)
  run()
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer)
      closing.abort()
      await deleting
    },
  }
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

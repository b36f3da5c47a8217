import type { Logger } from '../../log.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { dayMs } from '../../storage/durations.ts'
import type { Metadata } from '../../storage/metadata/metadata.ts'
import { every, hourly } from './hourly.ts'

/** How often, and how many rows in one transaction: pushes to SQLite wait meanwhile. */
const foldMs = 60_000
const foldRows = 1000

const pageSize = 100

/** Adds up what pushes have written down of what tenants use. */
export function foldUsageRegularly(usage: Pick<Metadata, 'foldUsage'>, log: Logger): AsyncDisposable {
  return every(
    foldMs,
    async options => {
      while ((await usage.foldUsage(foldRows, options)) === foldRows);
    },
    error => log.error({ error }, 'what tenants use could not be added up'),
  )
}

type Counted = Pick<Metadata, 'listTenants' | 'getUsage' | 'recountUsage'>

/** Counts once a day what tenants that have a quota use, so that no mistake lasts. */
export function recountDaily(usage: Counted, log: Logger, now: () => number = Date.now): AsyncDisposable {
  // At a start there is enough to do.
  let due = now() + dayMs
  return hourly(
    async options => {
      if (now() < due) return
      due = now() + dayMs
      await recountUsage(usage, log, options)
    },
    error => log.error({ error }, 'what tenants use could not be counted'),
  )
}

export async function recountUsage(usage: Counted, log: Logger, options: Abortable): Promise<void> {
  for (let after: string | undefined; ; ) {
    const tenants = await usage.listTenants({ limit: pageSize, after }, options)
    for (const { name, quotaBytes, quotaRepositories } of tenants) {
      if (quotaBytes === null && quotaRepositories === null) continue
      const before = await usage.getUsage(name, options)
      const counted = await usage.recountUsage(name, options)
      // Pushes between the two make a difference as well, so this is no more than a hint.
      if (before.bytes !== counted.bytes || before.repositories !== counted.repositories)
        log.info({ tenant: name, before, counted }, 'what a tenant uses was counted anew')
    }
    if (tenants.length < pageSize) return
    after = tenants.at(-1)?.name
  }
}

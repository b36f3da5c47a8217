import type { Abortable } from '../../storage/abortable.ts'
import type { RetentionRecords } from '../../storage/metadata/retention-records.ts'
import type { Dropper } from './dropper.ts'

/** Tags of one statement. */
const tagsAtOnce = 200

/**
 * Drops the tags whose own time has come. A time that came to nothing, because the tag may not be changed by now, is taken
 * back: others would have to wait behind it.
 */
export async function expireTags(
  records: Pick<RetentionRecords, 'listExpiredTags' | 'dropTagExpiry' | 'forgetTagExpiries'>,
  dropper: Dropper,
  now: () => number,
  options: Abortable,
): Promise<{ readonly expired: number; readonly hasMore: boolean }> {
  let expired = 0
  const until = new Date(now())
  for (;;) {
    const due = await records.listExpiredTags(until, tagsAtOnce, options)
    for (const each of due) {
      if (dropper.isOver) return { expired, hasMore: true }
      if (await dropper.expire(each)) expired += 1
      else await records.dropTagExpiry(each, options)
    }
    if (due.length < tagsAtOnce) break
  }
  await records.forgetTagExpiries(until, tagsAtOnce, options)
  return { expired, hasMore: false }
}

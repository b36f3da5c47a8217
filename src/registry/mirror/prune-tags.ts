import type { MirrorJob } from '../../mirror-job.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { ifThere } from '../../storage/images/if-there.ts'
import type { Tag } from '../../storage/reference.ts'
import { isDomainError } from '../../errors.ts'
import type { MirroredRepository, ReadyJob } from './mirrored-repository.ts'

/** What is to become of a tag that only the target has. */
export interface PrunedTag {
  readonly tag: Tag
  /** `report`: it stays. */
  readonly action: 'delete' | 'report'
  readonly reason: string
}

const gone = 'The source does not have it (any more)'

/**
 * Tags at the target that the job means and the source does not have. Nothing where the source has no tag at all that the
 * job means: a list that is empty by mistake looks the same.
 */
export async function surplusTags(
  { rules, tags }: ReadyJob,
  { target, listed }: MirroredRepository,
  options: Abortable,
): Promise<readonly PrunedTag[]> {
  if (listed === undefined || !listed.values().some(tag => tags.means(tag))) return []
  const surplus: Tag[] = []
  let count = 0
  try {
    for await (const tag of target.tags(options)) {
      if (!tags.means(tag)) continue
      count += 1
      if (!listed.has(tag)) surplus.push(tag)
    }
  } catch (error) {
    if (isDomainError(error, 'not_found')) return []
    throw error
  }
  const why = whyNot(rules.prune, surplus.length, count)
  return surplus.map(tag =>
    why === undefined
      ? { tag, action: 'delete', reason: `${gone}.` }
      : { tag, action: 'report', reason: `${gone}; ${why}.` },
  )
}

/** Why tags are not deleted, as the end of a sentence; undefined: they are. */
function whyNot(
  { mode, maxPercent }: MirrorJob['prune'],
  surplus: number,
  count: number,
): string | undefined {
  if (mode !== 'delete') return 'it stays (prune.mode: report)'
  const percent = (surplus / count) * 100
  if (percent <= maxPercent) return undefined
  return `it stays, for ${surplus} of ${count} tags would be deleted, which is more than ${maxPercent} percent (prune.maxPercent)`
}

/**
 * Deletes a tag at the target, once the source has said by itself that it does not have it: a list may be incomplete.
 * @returns false for a tag that the source has after all.
 * @throws DomainError as the repositories do.
 */
export async function pruneTag(
  { source, target }: MirroredRepository,
  tag: Tag,
  options: Abortable,
): Promise<boolean> {
  if ((await ifThere(source.stat({ kind: 'tag', tag }, options))) !== undefined) return false
  await ifThere(target.deleteTag(tag, options))
  return true
}

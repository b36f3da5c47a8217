import type { MirrorJob } from '../../mirror-job.ts'
import { type Digest, digestOf, hexOf } from '../../storage/digest.ts'
import type { ManifestInfo } from '../../storage/metadata/manifest-records.ts'
import type { MirroredTag } from '../../storage/metadata/mirror-records.ts'

/** What is known of a tag at both ends. */
export interface TagFacts {
  /** What the source's tag names. */
  readonly found: Digest
  /**
   * What the target's tag would name: the same, or the one platform of it. Undefined where it would take a request to know
   * and no matter what, the target's tag is made to name it.
   */
  readonly wanted: Digest | undefined
  /** What the target's tag names; undefined where there is none. */
  readonly there: Digest | undefined
  /** None of a job that took something else with a tag. */
  readonly note: MirroredTag | undefined
  /** Whether the job took something else with it the last time. */
  readonly isRedefined: boolean
  readonly now: Date
}

export interface TagVerdict {
  /** `recheck`: the same, but it is time to look for what belongs to it. */
  readonly action: 'copy' | 'recheck' | 'unchanged' | 'skip' | 'fail'
  /** What the source's tag names. */
  readonly digest: Digest
  /** What the source has just said of it; undefined where it was not asked. */
  readonly info?: ManifestInfo | undefined
  readonly there: Digest | undefined
  /** Whether the target has lost blobs of the repository, so that those of a tag that is the same are looked for, too. */
  readonly repairs?: boolean | undefined
  /** In one sentence. */
  readonly reason: string
}

type Rules = Pick<MirrorJob, 'overwrite' | 'referrers' | 'platforms'>
type ScopeRules = Pick<MirrorJob, 'platforms' | 'platformMode' | 'referrers'>

/** What is to be done with a tag, but for its signatures. */
export function tagVerdict(rules: Rules, facts: TagFacts): TagVerdict {
  const { found, wanted, there } = facts
  const verdict = (action: TagVerdict['action'], reason: string): TagVerdict => ({
    action,
    digest: found,
    there,
    reason,
  })
  if (there === undefined) return verdict('copy', 'It is not at the target.')
  if (there === wanted) {
    if (!isDue(rules, facts)) return verdict('unchanged', 'It is the same at the target.')
    return verdict('recheck', 'It is the same at the target; what belongs to it is looked at again.')
  }
  const differs = `It names ${there} at the target, and ${wanted ?? `another platform of, or another image than, ${found}`} at the source`
  if (rules.overwrite === 'keep')
    return verdict('skip', `${differs}; the job keeps what is there (overwrite: keep).`)
  if (rules.overwrite === 'fail')
    return verdict('fail', `${differs}; the job does not replace it (overwrite: fail).`)
  return verdict('copy', wanted === undefined ? 'It has not been compared yet.' : `${differs}.`)
}

/** One word for all that a job takes with a tag: when that changes, tags that have not changed are looked at again. */
export function scopeOf({ platforms, platformMode, referrers }: ScopeRules): string {
  const { include, artifactTypes, legacyCosignTags } = referrers
  const facts = [
    [...platforms].sort(),
    platforms.length > 0 && platformMode,
    include && [[...artifactTypes].sort(), legacyCosignTags],
  ]
  return hexOf(digestOf(Buffer.from(JSON.stringify(facts)))).slice(0, 16)
}

/** Whether anything beside the tag is worth a second look. */
function isRemembered({ referrers, platforms }: Pick<Rules, 'referrers' | 'platforms'>): boolean {
  return referrers.include || platforms.length > 0
}

function isDue(rules: Rules, { found, note, isRedefined, now }: DueFacts): boolean {
  if (isRedefined) return true
  if (!isRemembered(rules)) return false
  if (note === undefined || note.digest !== found) return true
  return now.getTime() - note.referrersAt.getTime() >= rules.referrers.recheckHours * 3_600_000
}

type DueFacts = Pick<TagFacts, 'found' | 'note' | 'isRedefined' | 'now'>

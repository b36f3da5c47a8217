import { setImmediate as giveWay } from 'node:timers/promises'
import type { Abortable } from '../../storage/abortable.ts'
import type { Digest } from '../../storage/digest.ts'
import type { RetentionRecords, TagFacts } from '../../storage/metadata/retention-records.ts'
import type { SettingRecords } from '../../storage/metadata/setting-records.ts'
import type { RepositoryName, Tag } from '../../storage/reference.ts'
import { type DecisionTimes, decideTags, type TagVerdict } from './decide-tags.ts'
import { decideUntagged, untaggedRule, type UntaggedVerdict } from './decide-untagged.ts'
import type { ReadyPolicy, ReadyRule } from './ready-policy.ts'

export type PlanRecords = Pick<RetentionRecords, 'listTagFacts' | 'listUntagged'>

/** Facts of one statement. */
const factsAtOnce = 1000

/** Of one repository; of one that has more, only those without a tag go. A tag takes some hundred bytes of memory. */
export const maxTags = 500_000

/** Undefined: the repository has more tags than can be decided on. */
export async function planTags(
  records: PlanRecords,
  repository: RepositoryName,
  policies: readonly ReadyPolicy[],
  times: DecisionTimes,
  options: Abortable,
): Promise<TagVerdict[] | undefined> {
  const tags: TagFacts[] = []
  let after: Tag | undefined
  for (;;) {
    const page = await records.listTagFacts(repository, after, factsAtOnce, options)
    tags.push(...page)
    if (page.length < factsAtOnce) break
    if (tags.length > maxTags) return undefined
    after = page.at(-1)?.tag
  }
  const fitting = await compareTags(tags, policies, options)
  return decideTags(tags, policies, times, (rule, tag) => fitting.get(rule)?.has(tag) === true)
}

/** Tags that are compared with all rules before others have their turn. */
const comparedAtOnce = 50

/** Patterns are anybody's: comparing them with many tags takes most of the time, and others must not wait for it. */
async function compareTags(
  tags: readonly TagFacts[],
  policies: readonly ReadyPolicy[],
  { signal }: Abortable,
): Promise<ReadonlyMap<ReadyRule, ReadonlySet<Tag>>> {
  const rules = policies.flatMap(policy => policy.rules)
  const fitting = new Map(rules.map(rule => [rule, new Set<Tag>()]))
  for (let start = 0; start < tags.length; start += comparedAtOnce) {
    const some = tags.slice(start, start + comparedAtOnce)
    for (const [rule, fits] of fitting) for (const { tag } of some) if (rule.fits(tag)) fits.add(tag)
    await giveWay(undefined, { signal })
  }
  return fitting
}

/** Manifests without a tag, in byte order of the digest, those after one. They do not depend on each other. */
export async function* planUntagged(
  records: PlanRecords,
  repository: RepositoryName,
  policies: readonly ReadyPolicy[],
  times: DecisionTimes,
  { signal, after: first }: Abortable & { readonly after?: Digest | undefined } = {},
): AsyncGenerator<UntaggedVerdict> {
  const rule = untaggedRule(policies)
  if (rule === undefined) return
  let after = first
  for (;;) {
    const page = await records.listUntagged(repository, after, factsAtOnce, { signal })
    for (const facts of page) yield decideUntagged(facts, rule, times)
    if (page.length < factsAtOnce) return
    after = page.at(-1)?.digest
  }
}

/** The same for all replicas, and for ever. */
export async function pullsKnownSince(
  settings: Pick<SettingRecords, 'agreeOn'>,
  now: Date,
  options?: Abortable,
): Promise<Date> {
  return new Date(await settings.agreeOn('pulls-noted-since', now.toISOString(), options))
}

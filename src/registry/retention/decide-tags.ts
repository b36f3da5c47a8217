import type { TagFacts } from '../../storage/metadata/retention-records.ts'
import type { Tag } from '../../storage/reference.ts'
import { pullNoteMs, type ReadyPolicy, type ReadyRule } from './ready-policy.ts'

/** What becomes of a tag, and why, in a few words. */
export interface TagVerdict {
  readonly facts: TagFacts
  /** `wouldGo`: by a policy that only shows what it would do. */
  readonly outcome: 'kept' | 'goes' | 'wouldGo'
  readonly reason: string
  /** The tag goes only if its manifest was not pulled then or later. */
  readonly notPulledSince: Date | undefined
}

export interface DecisionTimes {
  readonly now: Date
  /** Since when pulls are written down: what was pulled before that is not known. */
  readonly pullsKnownSince: Date
}

/** Whether a rule is about a tag; asked several times for each. */
export type Fits = (rule: ReadyRule, tag: Tag) => boolean

/**
 * What becomes of the tags of one repository, in their order, by the policies that cover it. A tag stays that any rule of
 * any policy keeps, and one that no policy is about.
 *
 * @param tags all of the repository: which are newest depends on the others.
 */
export function decideTags(
  tags: readonly TagFacts[],
  policies: readonly ReadyPolicy[],
  times: DecisionTimes,
  fits: Fits = (rule, tag) => rule.fits(tag),
): TagVerdict[] {
  const active = decideBy(
    tags,
    policies.filter(({ isDryRun }) => !isDryRun),
    times,
    fits,
  )
  if (policies.every(({ isDryRun }) => !isDryRun)) return active
  const shown = decideBy(tags, policies, times, fits)
  return active.map((verdict, index) => {
    const other = shown[index]
    if (verdict.outcome !== 'kept' || other === undefined) return verdict
    if (other.outcome === 'goes') return { ...other, outcome: 'wouldGo', notPulledSince: undefined }
    // A policy that only shows what it would do shows what it would keep, too.
    return unruled.has(verdict.reason) ? other : verdict
  })
}

const noPolicy = 'no policy covers the repository'
const noRule = 'no rule is about it'
const unruled: ReadonlySet<string> = new Set([noPolicy, noRule])

function decideBy(
  tags: readonly TagFacts[],
  policies: readonly ReadyPolicy[],
  times: DecisionTimes,
  fits: Fits,
): TagVerdict[] {
  const rules = policies.map(policy => ({
    policy,
    rules: policy.rules.map(rule => judged(rule, tags, times, fits)),
  }))
  return tags.map(facts => {
    const kept = (reason: string): TagVerdict => ({
      facts,
      outcome: 'kept',
      reason,
      notPulledSince: undefined,
    })
    if (facts.isImmutable) return kept('it may not be changed')
    if (policies.length === 0) return kept(noPolicy)
    if (facts.isOwnerPresent !== null) return ofOwned(facts, policies, times, kept)
    return byRules(facts, rules, { times, fits }, kept)
  })
}

/** What belongs to a manifest by its name goes when that has gone, and is nothing that rules count. */
function ofOwned(
  facts: TagFacts,
  policies: readonly ReadyPolicy[],
  times: DecisionTimes,
  kept: (reason: string) => TagVerdict,
): TagVerdict {
  if (facts.isOwnerPresent === true) return kept('the manifest that it belongs to by its name is there')
  const age = ageOf(facts, times)
  // Some push it before what it belongs to.
  const waitMs = Math.max(ownerWaitMs, ...policies.map(({ delayMs }) => delayMs))
  if (age < waitMs) return kept('it is young, and what it belongs to may come')
  return {
    facts,
    outcome: 'goes',
    reason: 'what it belongs to by its name is gone',
    notPulledSince: undefined,
  }
}

const ownerWaitMs = 24 * 60 * 60 * 1000

interface JudgedRule {
  readonly rule: ReadyRule
  /** Among the newest of those that the rule is about. */
  readonly newest: ReadonlySet<TagFacts>
}

function judged(rule: ReadyRule, tags: readonly TagFacts[], times: DecisionTimes, fits: Fits): JudgedRule {
  if (rule.keepNewest === undefined) return { rule, newest: new Set() }
  const time = (facts: TagFacts): number =>
    rule.newestBy === 'push' ? facts.pushedAt.getTime() : lastUsed(facts, times)
  const newest = tags
    .filter(facts => facts.isOwnerPresent === null && fits(rule, facts.tag))
    .map(facts => ({ facts, time: time(facts), pushed: facts.pushedAt.getTime() }))
    .sort((a, b) => b.time - a.time || b.pushed - a.pushed || (a.facts.tag < b.facts.tag ? 1 : -1))
    .slice(0, rule.keepNewest)
  return { rule, newest: new Set(newest.map(({ facts }) => facts)) }
}

function byRules(
  facts: TagFacts,
  judgedPolicies: readonly { readonly policy: ReadyPolicy; readonly rules: readonly JudgedRule[] }[],
  { times, fits }: { readonly times: DecisionTimes; readonly fits: Fits },
  kept: (reason: string) => TagVerdict,
): TagVerdict {
  const fitting = judgedPolicies.map(({ policy, rules }) => ({
    policy,
    rules: rules.filter(({ rule }) => fits(rule, facts.tag)),
  }))
  const all = fitting.flatMap(({ rules }) => rules)
  const always = all.find(({ rule }) => rule.kind === 'keepAlways')
  if (always !== undefined) return kept(`${always.rule.name} keeps it always`)
  // Each policy decides on its own whether a tag is old enough to go by it.
  const ready = fitting.filter(({ policy }) => ageOf(facts, times) >= policy.delayMs)
  const drop = ready.flatMap(({ rules }) => rules).find(({ rule }) => rule.kind === 'dropAlways')
  if (drop !== undefined)
    return { facts, outcome: 'goes', reason: `${drop.rule.name} drops it always`, notPulledSince: undefined }
  for (const each of all) {
    const reason = reasonToKeep(facts, each, times)
    if (reason !== undefined) return kept(`${reason}: ${each.rule.name}`)
  }
  const letting = ready.find(({ policy, rules }) => rules.length > 0 || policy.otherwise === 'drop')
  if (letting === undefined)
    return kept(
      fitting.some(({ policy, rules }) => rules.length > 0 || policy.otherwise === 'drop')
        ? 'it is younger than the delay of the policy'
        : noRule,
    )
  const reason =
    letting.rules.length === 0
      ? `no rule of policy ${letting.policy.name} is about it`
      : letting.rules.map(({ rule }) => reasonToGo(facts, rule, times)).join('; ')
  return { facts, outcome: 'goes', reason, notPulledSince: pullLimitOf(all, facts) }
}

function reasonToKeep(
  facts: TagFacts,
  { rule, newest }: JudgedRule,
  times: DecisionTimes,
): string | undefined {
  const { keepNewest, newestBy, pushedWithin, pulledWithin } = rule
  if (newest.has(facts)) return `one of the newest ${keepNewest} by ${newestBy}`
  if (pushedWithin !== undefined && ageOf(facts, times) <= pushedWithin.ms)
    return `pushed ${days(ageOf(facts, times))} ago, within ${pushedWithin.text}`
  if (pulledWithin !== undefined && unusedMs(facts, times) <= pulledWithin.ms + pullNoteMs)
    return `in use ${days(unusedMs(facts, times))} ago, within ${pulledWithin.text}`
  return undefined
}

function reasonToGo(facts: TagFacts, rule: ReadyRule, times: DecisionTimes): string {
  const { keepNewest, newestBy, pushedWithin, pulledWithin, name } = rule
  const missed = [
    keepNewest === undefined ? undefined : `not one of the newest ${keepNewest} by ${newestBy}`,
    pushedWithin && `pushed ${days(ageOf(facts, times))} ago, kept for ${pushedWithin.text}`,
    pulledWithin && `not in use for ${days(unusedMs(facts, times))}, kept for ${pulledWithin.text}`,
  ].filter(text => text !== undefined)
  return `${missed.join(', ')}: ${name}`
}

/** What was decided by when it was pulled must not be done when it was pulled again. */
function pullLimitOf(rules: readonly JudgedRule[], { pulledAt }: TagFacts): Date | undefined {
  const isByPull = rules.some(
    ({ rule }) =>
      rule.pulledWithin !== undefined || (rule.keepNewest !== undefined && rule.newestBy === 'pull'),
  )
  return isByPull ? new Date((pulledAt?.getTime() ?? 0) + 1) : undefined
}

function ageOf({ pushedAt }: TagFacts, { now }: DecisionTimes): number {
  return now.getTime() - pushedAt.getTime()
}

function unusedMs(facts: TagFacts, times: DecisionTimes): number {
  return times.now.getTime() - lastUsed(facts, times)
}

/** When it was pulled or pushed last, or may have been. */
function lastUsed({ pushedAt, pulledAt }: TagFacts, { pullsKnownSince }: DecisionTimes): number {
  return Math.max(pushedAt.getTime(), pulledAt?.getTime() ?? 0, pullsKnownSince.getTime())
}

function days(ms: number): string {
  const hours = Math.max(0, Math.floor(ms / 3_600_000))
  return hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`
}

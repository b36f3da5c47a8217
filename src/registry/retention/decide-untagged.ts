import type { UntaggedFacts } from '../../storage/metadata/retention-records.ts'
import type { DecisionTimes } from './decide-tags.ts'
import type { ReadyPolicy } from './ready-policy.ts'

/** What becomes of a manifest that nothing names. */
export interface UntaggedVerdict {
  readonly facts: UntaggedFacts
  readonly outcome: 'kept' | 'goes' | 'wouldGo'
  readonly reason: string
  /** It goes only if nobody has put it or asked for it after this. */
  readonly since: Date
}

/** Undefined: no policy is about manifests without a tag, and nobody need look for them. */
export function untaggedRule(policies: readonly ReadyPolicy[]): UntaggedRule | undefined {
  const [active, shown] = [policies.filter(({ isDryRun }) => !isDryRun), policies].map(shortestOf)
  return shown === undefined ? undefined : { active, shown }
}

export interface UntaggedRule {
  readonly active: Wait | undefined
  readonly shown: Wait
}

interface Wait {
  readonly ms: number
  readonly policy: string
}

/** By the policy that lets it go first. */
export function decideUntagged(
  facts: UntaggedFacts,
  { active, shown }: UntaggedRule,
  { now, pullsKnownSince }: DecisionTimes,
): UntaggedVerdict {
  const since = new Date(Math.max(facts.since.getTime(), facts.pulledAt?.getTime() ?? 0))
  const unusedMs = now.getTime() - Math.max(since.getTime(), pullsKnownSince.getTime())
  const reason = ({ policy }: Wait) => `without a tag longer than policy ${policy} keeps it`
  if (active !== undefined && unusedMs >= active.ms)
    return { facts, since, outcome: 'goes', reason: reason(active) }
  if (unusedMs >= shown.ms) return { facts, since, outcome: 'wouldGo', reason: reason(shown) }
  return { facts, since, outcome: 'kept', reason: 'not so long without a tag' }
}

function shortestOf(policies: readonly ReadyPolicy[]): Wait | undefined {
  const waits = policies.flatMap(({ untaggedMs, delayMs, name }) =>
    untaggedMs === undefined ? [] : [{ ms: Math.max(untaggedMs, delayMs), policy: name }],
  )
  return waits.sort((a, b) => a.ms - b.ms)[0]
}

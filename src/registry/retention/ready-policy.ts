import { durationMs, expressionOf, type RetentionPolicy, type RetentionRule } from '../../retention-policy.ts'
import { hourMs } from '../../storage/durations.ts'
import { namePattern } from '../../storage/name-pattern.ts'

/** A policy, ready to be asked about many tags. */
export interface ReadyPolicy {
  /** For people: whose it is, and which. */
  readonly name: string
  readonly isDryRun: boolean
  readonly rules: readonly ReadyRule[]
  readonly otherwise: 'keep' | 'drop'
  readonly untaggedMs: number | undefined
  readonly delayMs: number
  covers(repository: string): boolean
}

export interface ReadyRule {
  /** For people: `rule 2 of policy nightly`. */
  readonly name: string
  readonly kind: 'keep' | 'keepAlways' | 'dropAlways'
  readonly keepNewest: number | undefined
  readonly newestBy: 'push' | 'pull'
  readonly pushedWithin: Within | undefined
  readonly pulledWithin: Within | undefined
  fits(tag: string): boolean
}

export interface Within {
  /** As it was written. */
  readonly text: string
  readonly ms: number
}

/** How exactly the last pull of a manifest is known: one that follows soon after another is not written down. */
export const pullNoteMs = hourMs

export function readyPolicy(name: string, policy: RetentionPolicy): ReadyPolicy {
  const { rules, otherwise, untaggedAfter, delay, dryRun } = policy
  const repositories = policy.repositories.map(namePattern)
  return {
    name,
    isDryRun: dryRun,
    rules: rules.map((rule, index) => readyRule(`rule ${index + 1} of policy ${name}`, rule)),
    otherwise,
    untaggedMs: untaggedAfter === undefined ? undefined : durationMs(untaggedAfter),
    delayMs: delay === undefined ? 0 : (durationMs(delay) ?? 0),
    covers: repository => repositories.some(each => each.test(repository)),
  }
}

function readyRule(name: string, rule: RetentionRule): ReadyRule {
  const { tags, except, keepNewest, newestBy, pushedWithin, pulledWithin, keepAlways, dropAlways } = rule
  const wanted = tags?.map(matcher)
  const unwanted = except.map(matcher)
  return {
    name,
    kind: keepAlways ? 'keepAlways' : dropAlways ? 'dropAlways' : 'keep',
    keepNewest,
    newestBy,
    pushedWithin: within(pushedWithin),
    pulledWithin: within(pulledWithin),
    fits: tag =>
      (wanted === undefined || wanted.some(each => each.test(tag))) && !unwanted.some(each => each.test(tag)),
  }
}

function matcher(text: string): { test(tag: string): boolean } {
  return expressionOf(text) ?? namePattern(text)
}

function within(text: string | undefined): Within | undefined {
  const ms = text === undefined ? undefined : durationMs(text)
  return text === undefined || ms === undefined ? undefined : { text, ms }
}

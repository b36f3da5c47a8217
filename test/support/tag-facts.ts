import { retentionPolicySchema } from '../../src/retention-policy.ts'
import type { DecisionTimes } from '../../src/registry/retention/decide-tags.ts'
import { type ReadyPolicy, readyPolicy } from '../../src/registry/retention/ready-policy.ts'
import { digestOf } from '../../src/storage/digest.ts'
import type { TagFacts } from '../../src/storage/metadata/retention-records.ts'
import { parseTag } from '../../src/storage/reference.ts'

export const dayMs = 86_400_000
const now = new Date(Date.UTC(2026, 5, 1))

/** Pulls have been written down for a long time. */
export const longKnown: DecisionTimes = { now, pullsKnownSince: new Date(0) }

/** A tag that was pushed, and pulled, so many days ago. */
export function tagFacts(
  tag: string,
  pushedDays: number,
  pulledDays?: number,
  change: Partial<TagFacts> = {},
): TagFacts {
  const ago = (days: number) => new Date(now.getTime() - days * dayMs)
  return {
    tag: parseTag(tag),
    digest: digestOf(Buffer.from(tag)),
    pushedAt: ago(pushedDays),
    pulledAt: pulledDays === undefined ? null : ago(pulledDays),
    expiresAt: null,
    isImmutable: false,
    isOwnerPresent: null,
    ...change,
  }
}

/** A policy as it would be sent, for all repositories unless it says otherwise. */
export function policyFrom(written: object, name = 'p'): ReadyPolicy {
  return readyPolicy(name, retentionPolicySchema.parse({ repositories: ['**'], ...written }))
}

import { DomainError } from '../../../errors.ts'
import { patternsIn, type RetentionPolicy } from '../../../retention-policy.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { tenantOf } from '../../../storage/accounts/names.ts'
import { parseDigest } from '../../../storage/digest.ts'
import { parseTag } from '../../../storage/reference.ts'
import { Turns } from '../../../storage/turns.ts'
import { planTags, planUntagged, pullsKnownSince } from '../../retention/plan.ts'
import { parseStored, readPolicies } from '../../retention/policies.ts'
import { policiesForTenant } from '../../retention/policies-for-tenant.ts'
import { nextRun } from '../../retention/retention-ticker.ts'
import type { AdminOutput, CheckedInput } from '../administration.ts'
import type { retentionOperations } from '../operations/retention.ts'
import {
  type RetentionVerdictView,
  retentionPolicyView,
  retentionStatusView,
  retentionTickView,
  tagExpiryView,
} from '../retention-views.ts'
import { viewOf } from '../views.ts'
import type { AdminParts, Implementations } from './parts.ts'
import { requirePattern, requireRoom } from './tenants.ts'

/** Of a tenant: they are read for each of its repositories. */
const maxPolicies = 20
/** Of all its policies. */
const maxPatterns = 200
const [defaultPage, maxPage] = [100, 1000]

/** What each operation on the retention does. */
export function createRetentionAdministration({
  metadata,
  retention,
}: AdminParts): Implementations<keyof typeof retentionOperations> {
  const turns = new Turns()
  return {
    'retention.list': async ({ tenant }, { signal }) => {
      await metadata.getTenant(tenant, { signal })
      const stored = await metadata.listRetentionPolicies(tenant, { signal })
      const own = stored.map(({ rules, ...rest }) => ({ ...rest, policy: recordIn(rules) }))
      const configured = policiesForTenant(retention.source.configured, tenant).map(({ name, policy }) => ({
        id: name,
        tenant: null,
        policy,
        createdAt: null,
      }))
      return { items: [...own, ...configured].map(each => viewOf(retentionPolicyView, each)), next: null }
    },
    'retention.add': async ({ tenant, policy }, { signal }) => {
      for (const pattern of policy.repositories) requirePattern(tenant, pattern)
      await metadata.getTenant(tenant, { signal })
      const present = await metadata.listRetentionPolicies(tenant, { signal })
      requireRoom(present, 'rule', tenant, maxPolicies)
      requireFewPatterns(tenant, [policy, ...present.flatMap(({ rules }) => parseStored(rules) ?? [])])
      const rules = JSON.stringify(policy)
      const added = await metadata.addRetentionPolicy({ tenant, rules, beside: present }, { signal })
      return viewOf(retentionPolicyView, { ...added, policy })
    },
    'retention.remove': async ({ tenant, policy }, { signal }) =>
      await metadata.removeRetentionPolicy(tenant, policy, { signal }),

    'retention.plan': async (asked, { signal }) =>
      // It looks at all tags of the repository, which may be many.
      await turns.alone(
        tenantOf(asked.repository),
        async () => await planPage({ metadata, retention }, asked, { signal }),
        { signal },
      ),

    'retention.status': async (_input, { signal }) => {
      const { totals, beganAt, endedAt } = await metadata.retentionState({ signal })
      const stored = await metadata.listRetentionPolicies(undefined, { signal })
      const { pausedAt } = await metadata.collectState({ signal })
      const { isEnabled, schedule, source } = retention
      return viewOf(retentionStatusView, {
        isEnabled,
        pausedAt,
        isUnderWay: beganAt !== null && endedAt === null,
        beganAt,
        endedAt,
        nextAt: isEnabled ? nextRun(schedule, new Date()) : null,
        policies: stored.length + source.configured.length,
        ...totals,
      })
    },
    'retention.run': async (_input, { signal }) =>
      viewOf(retentionTickView, await retention.tick({ signal })),

    'tag.expire': async ({ repository, tag, expiresAt }, { signal }) => {
      await metadata.setTagExpiry(repository, tag, expiresAt ?? undefined, { signal })
      return viewOf(tagExpiryView, { repository, tag, expiresAt })
    },
  }
}

/** One page of what a run would do, decided anew each time: which tags stay depends on all others. */
async function planPage(
  { metadata, retention }: Pick<AdminParts, 'metadata' | 'retention'>,
  { repository, n = defaultPage, last = '' }: CheckedInput<'retention.plan'>,
  { signal }: Abortable,
): Promise<AdminOutput<'retention.plan'>> {
  const size = Math.min(n, maxPage)
  const now = new Date()
  const times = { now, pullsKnownSince: await pullsKnownSince(metadata, now, { signal }) }
  const policies = await readPolicies(
    { records: metadata, ...retention.source },
    { tenant: tenantOf(repository), signal },
  )
  const covering = policies.covering(repository)
  const items: RetentionVerdictView[] = []
  const isInTags = !last.includes(':')
  if (isInTags) {
    const after = last === '' ? '' : parseTag(last)
    const verdicts = await planTags(metadata, repository, covering, times, { signal })
    if (verdicts === undefined) throw tooManyTags(repository)
    for (const { facts, outcome, reason } of verdicts) {
      if (facts.tag <= after) continue
      const { tag, digest, pushedAt, pulledAt, expiresAt } = facts
      items.push(verdictView({ tag, digest, outcome, reason, since: pushedAt, pulledAt, expiresAt }))
      if (items.length > size) break
    }
  }
  const after = isInTags ? undefined : parseDigest(last)
  if (items.length <= size)
    for await (const { facts, outcome, reason } of planUntagged(metadata, repository, covering, times, {
      signal,
      after,
    })) {
      const { digest, since, pulledAt } = facts
      items.push(verdictView({ tag: null, digest, outcome, reason, since, pulledAt, expiresAt: null }))
      if (items.length > size) break
    }
  const shown = items.slice(0, size)
  const end = shown.at(-1)
  return { items: shown, next: items.length > size ? (end?.tag ?? end?.digest ?? null) : null }
}

/** Each tag is compared with all of them. @throws DomainError `conflict`. */
function requireFewPatterns(tenant: string, policies: readonly RetentionPolicy[]): void {
  const count = policies.reduce((sum, policy) => sum + patternsIn(policy), 0)
  if (count <= maxPatterns) return
  throw new DomainError(
    'conflict',
    `The retention policies of ${tenant} would have ${count} patterns for tags; ${maxPatterns} are allowed.`,
    { resource: 'rule', name: tenant },
  )
}

type Verdict = Omit<RetentionVerdictView, 'since' | 'pulledAt' | 'expiresAt'> & {
  readonly since: Date
  readonly pulledAt: Date | null
  readonly expiresAt: Date | null
}

function verdictView({ since, pulledAt, expiresAt, ...rest }: Verdict): RetentionVerdictView {
  return {
    ...rest,
    since: since.toISOString(),
    pulledAt: pulledAt?.toISOString() ?? null,
    expiresAt: expiresAt?.toISOString() ?? null,
  }
}

function recordIn(rules: string): object {
  const json: unknown = JSON.parse(rules)
  return typeof json === 'object' && json !== null ? json : {}
}

function tooManyTags(repository: string): DomainError {
  return new DomainError(
    'too_large',
    `${repository} has so many tags that no policy is applied to them; split it.`,
    { resource: 'repository', name: repository },
  )
}

import type { AccessPolicy } from './access-policy.ts'
import type { Caller } from './access-controller.ts'
import type { Subject } from './policy.ts'

/** Somebody whom the policy has let in, by this rule. @param identity null: nobody in particular. */
export function callerOf(identity: Subject | null, rule: string, policy: AccessPolicy): Caller {
  return {
    account: identity?.account ?? null,
    isAdmin: identity !== null && policy.isAdmin(identity),
    tenants: identity?.memberships.map(({ tenant }) => tenant) ?? [],
    credential: identity?.credential,
    rule,
    decide: (access, options) => policy.decide(identity, access, options),
    mayPush: async (name, options) =>
      (await policy.decide(identity, { kind: 'repository', name, action: 'push' }, options)).isAllowed,
  }
}

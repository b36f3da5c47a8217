import type { Access } from './access.ts'
import type { AuthorizeOptions, Caller } from './access-controller.ts'
import type { AccessPolicy } from './access-policy.ts'
import { callerOf } from './caller.ts'
import type { Identity } from './identity.ts'

/**
 * The caller, when the policy allows all that is wanted.
 * @param refusal what is thrown for the first thing that it does not allow, with the rule.
 */
export async function letIn(
  identity: Identity | null,
  policy: AccessPolicy,
  wanted: readonly Access[],
  options: AuthorizeOptions | undefined,
  refusal: (access: Access, rule: string) => Error,
): Promise<Caller> {
  let rule = identity === null ? '' : `${identity.account} is known`
  for (const access of wanted) {
    const decision = await policy.decide(identity, access, options)
    rule = decision.rule
    if (!decision.isAllowed) throw refusal(access, rule)
  }
  return callerOf(identity, rule, policy)
}

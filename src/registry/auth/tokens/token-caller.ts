import type { Abortable } from '../../../storage/abortable.ts'
import type { Access, Decision } from '../access.ts'
import type { Caller } from '../access-controller.ts'
import type { AccessPolicy } from '../access-policy.ts'
import { scopesOf } from '../challenge.ts'
import { allows, type TokenContent } from './token-claims.ts'

/**
 * Whoever has shown a token. It is good for what is written in it, and for no more, whatever its account may do besides:
 * tokens are handed on to those who shall do less. A token for the catalog lists what its account may pull; that is
 * looked up, and only while the token cannot push, for listing a repository and mounting from it are the same question.
 *
 * @param policy undefined for tokens of another service: one for the catalog then lists everything.
 */
export function tokenCaller(content: TokenContent, policy: AccessPolicy | undefined): Caller {
  const { id, account, isAdmin, rule, access: entries, pushable = [], subject } = content
  const lists =
    allows(entries, { kind: 'catalog' }) &&
    !entries.some(({ type, actions }) => type === 'repository' && actions.some(action => action !== 'pull'))
  return {
    account,
    isAdmin,
    tenants: subject?.memberships.map(({ tenant }) => tenant) ?? [],
    credential: `bearer:${id}`,
    rule,
    decide: async (access: Access, options?: Abortable): Promise<Decision> => {
      if (allows(entries, access)) return { isAllowed: true, rule }
      const isListed = lists && access.kind === 'repository' && access.action === 'pull'
      if (!isListed) return { isAllowed: false, rule: refusalRule(content, [access]) }
      if (policy === undefined) return { isAllowed: true, rule }
      return await policy.decide(subject ?? null, access, options)
    },
    mayPush: async name =>
      pushable.includes(name) || allows(entries, { kind: 'repository', name, action: 'push' }),
  }
}

/** Why a token is refused that is good, but not for this. */
export function refusalRule({ account }: Pick<TokenContent, 'account'>, wanted: readonly Access[]): string {
  return `the token of ${account ?? 'nobody'} is not good for ${scopesOf(wanted).join(' ')}`
}

import type { Abortable } from '../../../storage/abortable.ts'
import { type AccountName, accountKindOf } from '../../../storage/accounts/names.ts'
import type { Identity } from '../../auth/identity.ts'
import type { upkeepOperations } from '../operations/upkeep.ts'
import { auditView, keyView } from '../views.ts'
import { auditPage } from './audit.ts'
import { wholeOf } from './pages.ts'
import type { AdminParts, Implementations } from './parts.ts'

/** What each operation on the whole registry does. */
export function createUpkeepAdministration(
  parts: AdminParts,
): Implementations<keyof typeof upkeepOperations> {
  const { metadata, keys, policy } = parts
  return {
    'access.explain': async ({ account, action, repository }, { signal }) => {
      const access = { kind: 'repository', name: repository, action } as const
      if (account === undefined) return { ...(await policy.decide(null, access, { signal })) }
      const who = await identityOf(parts, account, { signal })
      return typeof who === 'string'
        ? { isAllowed: false, rule: who }
        : { ...(await policy.decide(who, access, { signal })) }
    },
    'audit.list': async (filter, { signal }) => await auditPage(metadata, filter, auditView, { signal }),
    'key.list': async (_input, { signal }) => wholeOf(keyView, await keys.list({ signal })),
    'key.rotate': async ({ forgetOld }, { signal }) =>
      wholeOf(keyView, await keys.rotate({ forgetOld, signal })),
  }
}

/**
 * The account as it would be after a login by password, or why it cannot log in. What an OpenID provider would vouch
 * for is not known here, and of an htpasswd file nothing is asked.
 */
async function identityOf(
  { metadata }: AdminParts,
  account: AccountName,
  options: Abortable,
): Promise<Identity | string> {
  const found = await metadata.findAccount(account, options)
  if (found === undefined && accountKindOf(account) === 'robot') return `${account} does not exist`
  if (found?.isDisabled === true) return `${account} is disabled`
  if (found !== undefined && found.expiresAt !== null && found.expiresAt <= new Date())
    return `${account} has expired`
  return {
    account,
    isAdmin: found?.isAdmin === true,
    credential: 'password',
    scopes: null,
    memberships: [],
    stamp: null,
  }
}

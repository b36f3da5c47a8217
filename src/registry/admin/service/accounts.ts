import { randomBytes } from 'node:crypto'
import { DomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { type AccountName, parseAccountName } from '../../../storage/accounts/names.ts'
import { checkNewPassword, defaultPasswordCost } from '../../auth/identities/password.ts'
import type { accountOperations } from '../operations/accounts.ts'
import { accountView, callerView, credentialView, viewOf } from '../views.ts'
import { pageOf, wholeOf } from './pages.ts'
import type { AdminParts, Call, Implementations } from './parts.ts'
import { requirePattern, requireRoom } from './tenants.ts'
import { addToken } from './tokens.ts'

/** What each operation on users, robots and their tokens does. */
export function createAccountAdministration(
  parts: AdminParts,
): Implementations<keyof typeof accountOperations> {
  const { metadata } = parts
  return {
    whoami: async (_input, { actor, standing }) =>
      viewOf(callerView, {
        account: actor.kind === 'system' ? actor.name : actor.identity.account,
        isAdmin: standing.isAdmin,
        credential: actor.kind === 'system' ? 'system' : actor.identity.credential,
        scopes: actor.kind === 'system' ? null : actor.identity.scopes,
        memberships: [...standing.roles].map(([tenant, role]) => ({ tenant, role })),
      }),

    'user.create': async ({ password, ...user }, { signal }) => {
      const text = password === undefined ? generatePassword() : password
      const passwordHash = text === null ? null : await hash(parts, user.name, text, { signal })
      const account = await metadata.createAccount({ ...user, kind: 'user', passwordHash }, { signal })
      return { account: viewOf(accountView, account), password: password === undefined ? text : null }
    },
    'user.list': async (input, { signal }) =>
      await pageOf(
        input,
        accountView,
        async page => await metadata.listAccounts({ ...page, kind: 'user' }, { signal }),
        ({ name }) => name,
      ),
    'user.get': async ({ user }, { signal }) =>
      viewOf(accountView, await metadata.getAccount(user, { signal })),
    'user.update': async ({ user, ...change }, call) => {
      if (change.isAdmin === false || change.isDisabled === true || change.expiresAt instanceof Date)
        requireOther(user, call)
      return viewOf(accountView, await metadata.updateAccount(user, change, call))
    },
    'user.delete': async ({ user }, call) => {
      requireOther(user, call)
      await metadata.deleteAccount(user, call)
    },
    'user.password': async ({ user, password, current }, call) => {
      await requireCurrent(parts, user, current, call)
      const text = password ?? generatePassword()
      const passwordHash = await hash(parts, user, text, call)
      await metadata.updateAccount(user, { passwordHash }, call)
      return { password: password === undefined ? text : null }
    },

    'robot.create': async ({ tenant, name: part, role, grants = [], ...rest }, call) => {
      const { signal } = call
      const name = parseAccountName(`${tenant}+${part}`)
      for (const { pattern } of grants) requirePattern(tenant, pattern)
      if (grants.length > 0) requireRoom(await metadata.listGrants(tenant, { signal }), 'grant', tenant)
      const account = await metadata.createAccount({ ...rest, name, kind: 'robot', tenant }, { signal })
      try {
        if (role !== undefined) await metadata.setMember(tenant, name, role, { signal })
        for (const grant of grants) await metadata.addGrant({ ...grant, tenant, subject: name }, { signal })
        const { credential, token } = await addToken(metadata, name, { description: 'first token' }, call)
        return {
          account: viewOf(accountView, account),
          credential: viewOf(credentialView, credential),
          token,
        }
      } catch (error) {
        // Half a robot would only be in the way of the next attempt; the caller may have gone, this has to be done.
        await metadata.deleteAccount(name).catch(() => {})
        throw error
      }
    },
    'robot.list': async ({ tenant, ...input }, { signal }) => {
      await metadata.getTenant(tenant, { signal })
      return await pageOf(
        input,
        accountView,
        async page => await metadata.listAccounts({ ...page, kind: 'robot', tenant }, { signal }),
        ({ name }) => name,
      )
    },
    'robot.delete': async ({ tenant, robot }, { signal }) =>
      await metadata.deleteAccount(parseAccountName(`${tenant}+${robot}`), { signal }),

    'token.create': async ({ account, ...token }, call) => {
      const made = await addToken(metadata, account, token, call)
      return { credential: viewOf(credentialView, made.credential), token: made.token }
    },
    'token.list': async ({ account }, { signal }) =>
      wholeOf(credentialView, await metadata.listCredentials(account, 'token', { signal })),
    'token.revoke': async ({ account, token }, { signal }) =>
      await metadata.revokeCredential(account, token, { signal }),
  }
}

/** 144 bits, in characters that can be typed and marked. */
export function generatePassword(): string {
  return randomBytes(18).toString('base64url')
}

async function hash(
  { hasher, passwordCost = defaultPasswordCost }: AdminParts,
  account: AccountName,
  password: string,
  options: Abortable,
): Promise<string> {
  checkNewPassword(password, account)
  return await hasher.hash(password, passwordCost, options)
}

/** Whoever takes the own rights away may be the last who had them. @throws DomainError `conflict`. */
function requireOther(user: AccountName, { standing }: Call): void {
  if (standing.account !== user) return
  throw new DomainError(
    'conflict',
    `${user} cannot take the own rights away; another admin can, and so can the command on the registry's own machine.`,
    { resource: 'account', name: user },
  )
}

/** A session left open, or a token that was found, must not be enough to take an account over. */
async function requireCurrent(
  { identities }: AdminParts,
  user: AccountName,
  current: string | undefined,
  { actor, standing, signal }: Call,
): Promise<void> {
  if (actor.kind === 'system' || standing.account !== user) return
  if (current === undefined)
    throw new DomainError('invalid', `To change the own password, give the present one as current.`, {
      resource: 'account',
      name: 'current',
    })
  const proved = await identities.verify(
    { username: user, password: current, address: actor.address },
    { signal },
  )
  // A token opens the account as well, but is not its password.
  if (proved?.account === user && proved.credential === 'password') return
  throw new DomainError('denied', `That is not the present password of ${user}.`, {
    resource: 'account',
    name: user,
    rule: `${user} did not know the present password`,
  })
}

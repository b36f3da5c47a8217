import type { Action, Person, Role } from './people.ts'
import { type Repository, tenantIn, tenants } from './repositories.ts'

/** Who may do what: the rules in as few words as they have, and nothing of the policy that is under test. */

const actionsByRole: Readonly<Record<Role, readonly Action[]>> = {
  guest: ['pull'],
  developer: ['pull', 'push'],
  maintainer: ['pull', 'push', 'delete'],
  owner: ['pull', 'push', 'delete'],
}

export function may(person: Person, action: Action, { name, visibility, grant }: Repository): boolean {
  const tenant = tenantIn(name)
  if (person.state !== undefined) return false
  if (person.isAdmin === true) return true
  const ofTenant = tenants[tenant]
  if (ofTenant === undefined) return false
  const role = person.roles?.[tenant]
  if (role !== undefined && actionsByRole[role].includes(action)) return true
  if (grant?.actions.includes(action) === true && isFor(person, grant.to)) return true
  return action === 'pull' && (visibility ?? ofTenant) === 'public'
}

function isFor({ account }: Person, to: string): boolean {
  return to === '@everybody' || (account !== null && (to === '@accounts' || to === account))
}

/** What of a repository a credential is good for at most. */
export interface Scope {
  readonly name: string
  readonly actions: readonly Action[]
}

export function isIn(scopes: readonly Scope[], action: Action, name: string): boolean {
  return scopes.some(scope => scope.name === name && scope.actions.includes(action))
}

/** What a header `Authorization` is worth. */
export type Proof =
  | { readonly is: 'nobody' }
  /** @property scopes all that the account may, unless given. */
  | {
      readonly is: 'person'
      readonly person: Person
      readonly as: 'Basic' | 'Bearer'
      readonly scopes?: readonly Scope[]
    }
  /** Of our token service. */
  | { readonly is: 'token'; readonly access: readonly Scope[]; readonly listsAll?: boolean }
  | { readonly is: 'nothing good'; readonly as: 'Basic' | 'Bearer' }

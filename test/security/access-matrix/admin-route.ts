import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import type { Person } from './people.ts'
import type { World } from './world.ts'

/** Whether somebody may; `hidden` is refused as if what it is about were not there. */
export type Verdict = 'yes' | 'no' | 'hidden'

/** A way to call an operation of administration. */
export interface AdminRoute {
  readonly method: string
  /** As in the table of operations. */
  readonly path: string
  /** Which of several ways; empty for the only one. */
  readonly what: string
  readonly lets: (person: Person) => Verdict
  readonly status: 200 | 201 | 204
  /** Also for a token that is narrowed by scopes. */
  readonly isForNarrowed: boolean
  readonly prepare: (asker: Asker) => Promise<AdminCall> | AdminCall
}

export interface Asker {
  readonly world: World
  readonly person: Person
  /** Different in every row. */
  readonly mark: string
}

export interface AdminCall {
  /** Of the path. */
  readonly parameters?: Readonly<Record<string, string>>
  /** With its question mark. */
  readonly query?: string
  readonly body?: object
}

export type Lets = AdminRoute['lets']
type Prepare = AdminRoute['prepare']

export const acme = 'acme'
export const tenant = parseTenantName(acme)

export const everyAccount: Lets = () => 'yes'
export const admins: Lets = ({ isAdmin }) => (isAdmin === true ? 'yes' : 'no')
export const isOwner = ({ roles }: Person, of: string): boolean => roles?.[of] === 'owner'

/** To whoever is no member a tenant is not there. */
function inTenant(of: string, lets: Lets): Lets {
  return person => (person.isAdmin !== true && person.roles?.[of] === undefined ? 'hidden' : lets(person))
}

export const members: Lets = inTenant(acme, () => 'yes')
export const owners: Lets = inTenant(acme, person => (person.isAdmin || isOwner(person, acme) ? 'yes' : 'no'))
export const maintainers: Lets = inTenant(acme, person =>
  person.isAdmin || isOwner(person, acme) || person.roles?.[acme] === 'maintainer' ? 'yes' : 'no',
)
export const adminsOf = (of: string): Lets => inTenant(of, admins)

/** Of what belongs to one account. */
export function ownOr(targetOf: (person: Person) => string, lets: Lets): Lets {
  return person => (targetOf(person) === person.account ? 'yes' : lets(person))
}

export const ownersOfRobot: Lets = person => (person.isAdmin || isOwner(person, acme) ? 'yes' : 'no')

interface Way {
  readonly what?: string
  readonly status?: AdminRoute['status']
  readonly isForNarrowed?: boolean
  readonly prepare?: Prepare
}

export function way(method: string, path: string, lets: Lets, more: Way = {}): AdminRoute {
  const { what = '', status = 200, isForNarrowed = false, prepare = () => ({}) } = more
  return { method, path, what, lets, status, isForNarrowed, prepare }
}

/** In the tenant of the matrix. @param inPath more parameters of the path. */
export function here(body?: object, inPath: Readonly<Record<string, string>> = {}): AdminCall {
  return { parameters: { tenant: acme, ...inPath }, ...(body === undefined ? {} : { body }) }
}

/** Users have an account of their own to ask for; for the others it is somebody else's. */
export function ownUser({ account, by }: Person): string {
  return by === 'password' && account !== null ? account : 'gina'
}

export function ownAccount({ account }: Person): string {
  return account ?? 'gina'
}

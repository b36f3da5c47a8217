/** Who asks. The tables here, and not the rules of the registry, say what is expected of it. */

export type Action = 'pull' | 'push' | 'delete'
export type Role = 'guest' | 'developer' | 'maintainer' | 'owner'

export interface Person {
  /** As the rows name them. */
  readonly title: string
  /** Null: nobody in particular. */
  readonly account: string | null
  /** What they show. */
  readonly by: 'nothing' | 'password' | 'API token' | 'OpenID token'
  readonly isAdmin?: true
  /** By tenant. */
  readonly roles?: Readonly<Record<string, Role>>
  /** Of an account that is known and may not come in. */
  readonly state?: 'disabled' | 'expired'
}

/** The same in the private tenant, in the public one, and in the one that administration deletes. */
function everywhere(role: Role): Readonly<Record<string, Role>> {
  return { acme: role, site: role, doomed: role }
}

export const nobody: Person = { title: 'nobody', account: null, by: 'nothing' }
export const developer: Person = {
  title: 'a developer',
  account: 'dave',
  by: 'password',
  roles: everywhere('developer'),
}
export const owner: Person = {
  title: 'an owner',
  account: 'olga',
  by: 'password',
  roles: everywhere('owner'),
}
export const admin: Person = { title: 'an admin', account: 'root', by: 'password', isAdmin: true }
export const outsider: Person = { title: 'an account without any membership', account: 'zoe', by: 'password' }
export const stranger: Person = {
  title: 'an owner of another tenant',
  account: 'oscar',
  by: 'password',
  roles: { other: 'owner' },
}
export const robot: Person = {
  title: 'a robot of the tenant',
  account: 'acme+ci',
  by: 'API token',
  roles: everywhere('developer'),
}
export const workload: Person = {
  title: 'an OpenID workload',
  account: 'github/job-1',
  by: 'OpenID token',
  roles: everywhere('developer'),
}

export const people: readonly Person[] = [
  nobody,
  { title: 'a guest', account: 'gina', by: 'password', roles: everywhere('guest') },
  developer,
  { title: 'a maintainer', account: 'mia', by: 'password', roles: everywhere('maintainer') },
  owner,
  admin,
  stranger,
  outsider,
  { title: 'an account with a grant', account: 'pat', by: 'password' },
  robot,
  { title: 'a robot of another tenant', account: 'other+ci', by: 'API token', roles: { other: 'developer' } },
  workload,
  { title: 'an OpenID workload without a role', account: 'github/job-2', by: 'OpenID token' },
  {
    title: 'a disabled owner',
    account: 'dora',
    by: 'password',
    roles: everywhere('owner'),
    state: 'disabled',
  },
  {
    title: 'an expired maintainer',
    account: 'erin',
    by: 'password',
    roles: everywhere('maintainer'),
    state: 'expired',
  },
]

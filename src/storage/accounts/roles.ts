/** What can be done with a repository: the actions of a scope (distribution, "Docker Registry Token Scope"). */
export type Action = 'pull' | 'push' | 'delete'

export const actions: readonly Action[] = ['pull', 'push', 'delete']

/** A member's, in a tenant; each may do what those before it may. */
export type Role = 'guest' | 'developer' | 'maintainer' | 'owner'

export const roles: readonly Role[] = ['guest', 'developer', 'maintainer', 'owner']

/** Who may pull without being a member: nobody, or everybody. */
export type Visibility = 'private' | 'public'

const actionsByRole: Readonly<Record<Role, readonly Action[]>> = {
  guest: ['pull'],
  developer: ['pull', 'push'],
  maintainer: ['pull', 'push', 'delete'],
  owner: ['pull', 'push', 'delete'],
}

/** What a role may do with every repository of its tenant. Owners manage the tenant besides. */
export function actionsOf(role: Role): readonly Action[] {
  return actionsByRole[role]
}

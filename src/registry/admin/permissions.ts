import { DomainError } from '../../errors.ts'
import { type AccountName, robotTenantOf, type TenantName, tenantOf } from '../../storage/accounts/names.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { Standing } from './actor.ts'
import { type AdminOperation, adminOperations } from './administration.ts'

/**
 * Who may do an operation, besides admins, who may do every one of them.
 *
 * - `anyone`: every account, with narrowed tokens too.
 * - `account`: every account.
 * - `member`, `maintainer`, `owner`: at least that, of the tenant, or of the repository's, that the input names.
 * - `self`: the user that the input names.
 * - `self or robot's owner`: that account, or an owner of the tenant whose robot it is.
 * - `self or owner`: the account that the input names, or an owner of the repository's tenant.
 */
export type Permission =
  | 'anyone'
  | 'account'
  | 'member'
  | 'maintainer'
  | 'owner'
  | 'self'
  | "self or robot's owner"
  | 'self or owner'
  | 'admin'

interface PermissionRow {
  readonly who: Permission
  /** Fields of the input that only admins may give. */
  readonly adminFields?: readonly string[]
  /** Whether admins may do it for other users than themselves; true unless given. */
  readonly isForOthers?: false
}

export const permissions: Readonly<Record<AdminOperation, PermissionRow>> = {
  'tenant.create': { who: 'admin' },
  'tenant.list': { who: 'account' },
  'tenant.get': { who: 'member' },
  'tenant.update': { who: 'owner', adminFields: ['quotaBytes', 'quotaRepositories'] },
  'tenant.delete': { who: 'admin' },
  'tenant.audit': { who: 'owner' },
  'member.list': { who: 'owner' },
  'member.set': { who: 'owner' },
  'member.remove': { who: 'owner' },
  'grant.list': { who: 'owner' },
  'grant.add': { who: 'owner' },
  'grant.remove': { who: 'owner' },
  'repository.get': { who: 'member' },
  'repository.set': { who: 'owner' },
  'repository.list': { who: 'member' },
  'repository.show': { who: 'member' },
  'repository.delete': { who: 'maintainer', adminFields: ['force'] },
  'repository.restore': { who: 'maintainer' },
  'repository.purge': { who: 'owner' },
  // Of both tenants: service/repositories.ts.
  'repository.rename': { who: 'owner', adminFields: ['force'] },
  'rule.list': { who: 'member' },
  'rule.add': { who: 'owner' },
  'rule.remove': { who: 'owner' },
  'usage.get': { who: 'member' },
  whoami: { who: 'anyone' },
  'user.create': { who: 'admin' },
  'user.list': { who: 'admin' },
  'user.get': { who: 'self' },
  'user.update': { who: 'admin' },
  'user.delete': { who: 'admin' },
  'user.password': { who: 'self' },
  'robot.create': { who: 'owner' },
  'robot.list': { who: 'owner' },
  'robot.delete': { who: 'owner' },
  // A token for another person would be that person for whoever made it.
  'token.create': { who: "self or robot's owner", isForOthers: false },
  'token.list': { who: "self or robot's owner" },
  'token.revoke': { who: "self or robot's owner" },
  'access.explain': { who: 'self or owner' },
  'audit.list': { who: 'admin' },
  'key.list': { who: 'admin' },
  'key.rotate': { who: 'admin' },
  'mirror.list': { who: 'admin' },
  'mirror.get': { who: 'admin' },
  'mirror.put': { who: 'admin' },
  'mirror.remove': { who: 'admin' },
  'mirror.run': { who: 'admin' },
  'mirror.runs': { who: 'admin' },
  'mirror.status': { who: 'admin' },
  'mirror.results': { who: 'admin' },
  'gc.status': { who: 'admin' },
  'gc.run': { who: 'admin' },
  'gc.explain': { who: 'admin' },
  'gc.pause': { who: 'admin' },
  'gc.resume': { who: 'admin' },
  'tag.list': { who: 'member' },
  'tag.history': { who: 'member' },
  'tag.restore': { who: 'maintainer' },
  'tag.delete': { who: 'maintainer' },
  'manifest.deleted': { who: 'member' },
  'manifest.restore': { who: 'maintainer' },
  'manifest.purge': { who: 'maintainer' },
  'backup.list': { who: 'admin' },
  'backup.run': { who: 'admin' },
  'backup.verify': { who: 'admin' },
  'retention.list': { who: 'member' },
  'retention.add': { who: 'maintainer' },
  'retention.remove': { who: 'maintainer' },
  'retention.plan': { who: 'member' },
  'retention.status': { who: 'admin' },
  'retention.run': { who: 'admin' },
  'tag.expire': { who: 'maintainer' },
  'scrub.status': { who: 'admin' },
  'scrub.run': { who: 'admin' },
  'scrub.faults': { who: 'admin' },
  'scrub.strays': { who: 'admin' },
}

/** What of an input decides who may. */
export interface Subject {
  readonly tenant?: TenantName | undefined
  readonly repository?: RepositoryName | undefined
  readonly account?: AccountName | undefined
  readonly user?: AccountName | undefined
}

/**
 * By which rule the caller may do this.
 * @throws DomainError `denied`; `not_found` for a tenant that the caller may not know of: as for one that is not there.
 */
export function requirePermission(operation: AdminOperation, input: object, standing: Standing): string {
  const row = permissions[operation]
  if (standing.account === null) return 'the system may do everything'
  const name = standing.account
  if (row.who === 'anyone') return 'every account may'
  if (standing.isNarrowed)
    throw refusal(
      operation,
      `A token that is narrowed by scopes administers nothing; use a password, or a token without scopes.`,
      `the token of ${name} is narrowed by scopes`,
    )
  const subject: Subject = input
  const robotTenant = subject.account === undefined ? undefined : robotTenantOf(subject.account)
  if (standing.isAdmin) {
    if (row.isForOthers === false && subject.account !== name && robotTenant === undefined)
      throw refusal(
        operation,
        `Tokens are made by the account itself; admins can make them for themselves and for robots.`,
        `no rule lets ${name} do ${operation} for another user`,
      )
    return `${name} is an administrator`
  }
  const field = row.adminFields?.find(one => one in input)
  const tenant =
    subject.tenant ?? (subject.repository === undefined ? undefined : tenantOf(subject.repository))
  const role = (of: TenantName | undefined) => (of === undefined ? undefined : standing.roles.get(of))
  const isSelf = (subject.user ?? subject.account) === name
  switch (row.who) {
    case 'account':
      return 'every account may'
    case 'member':
    case 'maintainer':
    case 'owner': {
      const own = role(tenant)
      if (tenant === undefined)
        throw refusal(
          operation,
          'Only admins may ask about all tenants; name one of yours.',
          `no rule lets ${name} do ${operation} for all tenants`,
        )
      if (own === undefined) throw unknownTenant(tenant)
      if (field !== undefined)
        throw refusal(
          operation,
          `${field} can be changed by admins only.`,
          `no rule lets ${name} set ${field}`,
        )
      if (row.who === 'member' || own === 'owner' || own === row.who)
        return `${name} is ${own === 'owner' ? 'an' : 'a'} ${own} of ${tenant}`
      break
    }
    case 'self':
      if (isSelf) return `${name} acts for itself`
      break
    case "self or robot's owner":
      if (isSelf) return `${name} acts for itself`
      if (role(robotTenant) === 'owner') return `${name} is an owner of ${robotTenant}`
      break
    case 'self or owner':
      if (isSelf) return `${name} acts for itself`
      if (role(tenant) === 'owner') return `${name} is an owner of ${tenant}`
      break
    case 'admin':
      if (tenant !== undefined && role(tenant) === undefined) throw unknownTenant(tenant)
      break
  }
  throw refusal(
    operation,
    `${name} may not do this (${operation}); ${whoMay[row.who]} may.`,
    `no rule lets ${name} do ${operation}`,
  )
}

const whoMay: Readonly<Record<Permission, string>> = {
  anyone: 'everybody',
  account: 'every account',
  member: 'members of the tenant',
  maintainer: 'maintainers and owners of the tenant and admins',
  owner: 'owners of the tenant and admins',
  self: 'the user itself and admins',
  "self or robot's owner": 'the account itself, and for robots owners of their tenant and admins,',
  'self or owner': "the account itself, owners of the repository's tenant and admins",
  admin: 'only admins',
}

/** The same for a tenant that does not exist and for one that the caller may not know of. */
export function unknownTenant(tenant: TenantName | undefined): DomainError {
  return new DomainError('not_found', `There is no tenant ${tenant ?? ''} that you can see.`, {
    resource: 'tenant',
    name: tenant,
    rule: `no rule shows ${tenant ?? 'it'}`,
  })
}

function refusal(operation: AdminOperation, message: string, rule: string): DomainError {
  return new DomainError('denied', message, { resource: adminOperations[operation].resource, rule })
}

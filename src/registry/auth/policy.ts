import { tenantOf } from '../../storage/accounts/names.ts'
import { actionsOf, type Role, roles } from '../../storage/accounts/roles.ts'
import type { AccessFacts, Grant } from '../../storage/metadata/tenant-records.ts'
import { namePattern } from '../../storage/name-pattern.ts'
import type { Access, Decision } from './access.ts'
import type { Identity } from './identity.ts'

/** Of an identity, what a decision looks at. Null: nobody in particular. */
export type Subject = Pick<Identity, 'account' | 'isAdmin' | 'credential' | 'scopes' | 'memberships'>

export interface PolicyRules {
  /** Whether those without an account may do anything at all. */
  readonly anonymous: boolean
}

type RepositoryAccess = Access & { readonly kind: 'repository' }

/**
 * Whether somebody may do something, and by which rule. Rules only allow, and the first of these that does decides: an
 * administrator may do everything; a member what the role says; then grants; then what is public. What no rule allows is
 * refused. A credential with scopes is then good for those only.
 *
 * @param facts those of this account and this repository; they do not count for the catalog.
 */
export function decide(
  subject: Subject | null,
  access: Access,
  facts: AccessFacts,
  rules: PolicyRules,
): Decision {
  if (subject === null && !rules.anonymous)
    return refused('those without an account may do nothing here (auth.anonymous)')
  // What it lists is decided for each name.
  if (access.kind === 'catalog') return allowed('everybody may list what they may pull')
  const rule = ruleFor(subject, access, facts)
  const { action, name } = access
  if (rule === undefined) return refused(`no rule lets ${nameOf(subject)} ${action} ${name}`)
  if (subject !== null && !isInScope(subject, access))
    return refused(`the scopes of ${subject.credential} do not let it ${action} ${name}`)
  return allowed(rule)
}

/** Sentences are stable: people look for them in the audit log. */
function ruleFor(
  subject: Subject | null,
  { name, action }: RepositoryAccess,
  { tenant, repositoryVisibility, role, grants }: AccessFacts,
): string | undefined {
  if (subject?.isAdmin) return `${subject.account} is an administrator`
  if (tenant === undefined || tenant.name !== tenantOf(name)) return undefined

  const highest = subject === null ? undefined : highestRole(subject, tenant.name, role)
  if (subject !== null && highest !== undefined && actionsOf(highest).includes(action))
    return `${subject.account} is ${articleOf(highest)} ${highest} of ${tenant.name}`

  const grant = grants.find(
    one =>
      one.tenant === tenant.name &&
      one.actions.includes(action) &&
      isFor(subject, one) &&
      namePattern(one.pattern).test(name),
  )
  if (grant !== undefined)
    return `grant ${grant.id} lets ${grant.subject} ${grant.actions.join(' and ')} ${grant.pattern}`

  if (action === 'pull' && (repositoryVisibility ?? tenant.visibility) === 'public')
    return `${name} is public`
  return undefined
}

function highestRole({ memberships }: Subject, tenant: string, role: Role | undefined): Role | undefined {
  const all = [role, ...memberships.filter(one => one.tenant === tenant).map(one => one.role)]
  return roles.findLast(one => all.includes(one))
}

function isFor(subject: Subject | null, grant: Grant): boolean {
  if (grant.subject === '@everybody') return true
  if (subject === null) return false
  return grant.subject === '@accounts' || grant.subject === subject.account
}

function isInScope({ scopes }: Subject, { name, action }: RepositoryAccess): boolean {
  return (
    scopes === null ||
    scopes.some(scope => scope.actions.includes(action) && namePattern(scope.pattern).test(name))
  )
}

function nameOf(subject: Subject | null): string {
  return subject === null ? 'everybody' : subject.account
}

function articleOf(role: Role): string {
  return role === 'owner' ? 'an' : 'a'
}

function allowed(rule: string): Decision {
  return { isAllowed: true, rule }
}

function refused(rule: string): Decision {
  return { isAllowed: false, rule }
}

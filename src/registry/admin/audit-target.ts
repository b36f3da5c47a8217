import { type AdminOperation, adminOperations } from './administration.ts'
import { pathParametersOf } from './operation.ts'

/** Characters. */
const maxTarget = 300

/**
 * What an operation is about, for the audit log: a repository by its name, `tenant:acme`, `user:alice`,
 * `account:acme+ci`. Undefined for what concerns the whole registry, or says nothing that can be told.
 */
export function auditTargetOf(
  operation: AdminOperation,
  input: Readonly<Record<string, unknown>>,
): string | undefined {
  const text = (name: string): string | undefined => {
    const value = input[name]
    return typeof value === 'string' ? value.slice(0, maxTarget) : undefined
  }
  const repository = text('repository')
  if (repository !== undefined) return repository
  const named = (kind: string, name: string | undefined) =>
    name === undefined ? undefined : `${kind}:${name}`
  if (operation === 'tenant.create') return named('tenant', text('name'))
  if (operation === 'user.create') return named('user', text('name'))
  const [first] = pathParametersOf(adminOperations[operation].path)
  return first === undefined ? undefined : named(first, text(first))
}

/** What else of the input tells what was done: the member, the grant, the rule, the robot, the token. */
export function auditReferenceOf(
  operation: AdminOperation,
  input: Readonly<Record<string, unknown>>,
): string | undefined {
  const [, second] = pathParametersOf(adminOperations[operation].path)
  const name =
    second ?? (operation === 'robot.create' ? 'name' : operation === 'grant.add' ? 'subject' : undefined)
  const value = name === undefined ? undefined : input[name]
  return typeof value === 'string' ? value.slice(0, maxTarget) : undefined
}

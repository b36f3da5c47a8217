import type { Abortable } from '../../storage/abortable.ts'
import type { TenantName } from '../../storage/accounts/names.ts'
import { type Role, roles as rolesInOrder } from '../../storage/accounts/roles.ts'
import type { Actor, Standing } from './actor.ts'
import type { AdminInput, Administration, AdminOperation, AdminOutput } from './administration.ts'
import { checkInput } from './check-input.ts'
import { requirePermission } from './permissions.ts'
import { refuseChange } from './read-only.ts'
import { createAccountAdministration } from './service/accounts.ts'
import { createBackupAdministration } from './service/backup.ts'
import { createGcAdministration } from './service/gc.ts'
import { createHistoryAdministration } from './service/history.ts'
import { createMirrorAdministration } from './service/mirror.ts'
import type { AdminParts, Implementations } from './service/parts.ts'
import { createRepositoryAdministration } from './service/repositories.ts'
import { createRetentionAdministration } from './service/retention.ts'
import { createScrubAdministration } from './service/scrub.ts'
import { createTenantAdministration } from './service/tenants.ts'
import { createUpkeepAdministration } from './service/upkeep.ts'

/** Administration on the database itself. */
export class AdminService {
  readonly #parts: AdminParts
  readonly #implementations: Implementations<AdminOperation>

  constructor(parts: AdminParts) {
    this.#parts = parts
    this.#implementations = {
      ...createTenantAdministration(parts),
      ...createAccountAdministration(parts),
      ...createUpkeepAdministration(parts),
      ...createMirrorAdministration(parts),
      ...createGcAdministration(parts),
      ...createHistoryAdministration(parts),
      ...createBackupAdministration(parts),
      ...createRetentionAdministration(parts),
      ...createRepositoryAdministration(parts),
      ...createScrubAdministration(parts),
    }
  }

  /** @param onAllowed told by which rule an operation is allowed, before it is done. */
  as(actor: Actor, onAllowed: (rule: string) => void = () => {}): Administration {
    return {
      call: async (operation, input, options = {}) =>
        await this.#call(operation, input, actor, onAllowed, options),
    }
  }

  async #call<Name extends AdminOperation>(
    operation: Name,
    input: AdminInput<Name>,
    actor: Actor,
    onAllowed: (rule: string) => void,
    { signal }: Abortable,
  ): Promise<AdminOutput<Name>> {
    signal?.throwIfAborted()
    const checked = checkInput(operation, input)
    const standing = await this.#standingOf(actor, { signal })
    const rule = requirePermission(operation, checked, standing)
    if (this.#parts.isReadOnly) refuseChange(operation, checked)
    onAllowed(rule)
    const implementation: Implementations<AdminOperation>[Name] = this.#implementations[operation]
    return await implementation(checked, { actor, standing, signal })
  }

  async #standingOf(actor: Actor, options: Abortable): Promise<Standing> {
    if (actor.kind === 'system') return { account: null, isAdmin: true, isNarrowed: false, roles: new Map() }
    const { account, scopes, memberships } = actor.identity
    const known = await this.#parts.metadata.listMemberships(account, options)
    const roles = new Map<TenantName, Role>()
    for (const { tenant, role } of [...known, ...memberships])
      if (rankOf(role) > rankOf(roles.get(tenant))) roles.set(tenant, role)
    return {
      account,
      isAdmin: this.#parts.policy.isAdmin(actor.identity),
      isNarrowed: scopes !== null,
      roles,
    }
  }
}

function rankOf(role: Role | undefined): number {
  return role === undefined ? -1 : rolesInOrder.indexOf(role)
}

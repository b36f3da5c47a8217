import type { AccountName, TenantName } from '../../storage/accounts/names.ts'
import type { Role } from '../../storage/accounts/roles.ts'
import type { Requester } from '../../storage/requester.ts'
import type { Identity } from '../auth/identity.ts'

/** On whose behalf something is administered. */
export type Actor = SystemActor | AccountActor

/** Whoever runs a command on the database itself: there is nothing that could be kept from them. */
export interface SystemActor {
  readonly kind: 'system'
  /** `system:root`, for the audit log; the name of no account. */
  readonly name: string
}

/** An account that has shown who it is. */
export interface AccountActor {
  readonly kind: 'account'
  readonly identity: Identity
  /** IP address, for the delay after wrong passwords. */
  readonly address: string
  /** Of the request, for the events of what it changes. */
  readonly requester?: Requester | undefined
}

/** What of an actor decides what it may administer. */
export interface Standing {
  /** Null: the system. */
  readonly account: AccountName | null
  readonly isAdmin: boolean
  /** Whether what proved the account may only do some of what the account may. */
  readonly isNarrowed: boolean
  /** By tenant: the highest role. */
  readonly roles: ReadonlyMap<TenantName, Role>
}
